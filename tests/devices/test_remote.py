# SPDX-License-Identifier: Apache-2.0
"""Deploying and measuring through the agent, here over the local transport: the same commands as over a network."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeq.bundle.reader import open_bundle
from edgeq.errors import EdgeqError
from edgeq_devices.agent.lock import hold
from edgeq_devices.board import Board
from edgeq_devices.deploy import deploy
from edgeq_devices.events import parse_events
from edgeq_devices.job import Job, Model, Test
from edgeq_devices.remote import BusyBoardError, measure_events
from edgeq_devices.results import Measurement
from edgeq_devices.transports import LocalTransport
from tests.devices.processes import PATIENCE, agents_running, wait_until


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("board") / "edgeq"


@pytest.fixture(scope="module")
def deployed(root: Path, tiny_decoder: Any) -> tuple[Board, Model]:
    board = Board(LocalTransport(root), sys.executable)
    return board, deploy(board, open_bundle(tiny_decoder.directory), library=None)


@pytest.fixture
def board(deployed: tuple[Board, Model]) -> Board:
    return copy.copy(deployed[0])


@pytest.fixture
def job(deployed: tuple[Board, Model]) -> Job:
    return Job(deployed[1], Test(prompt=8, generate=4), threads=1, repetitions=2)


def test_a_board_says_what_it_is(board: Board) -> None:
    assert board.facts.system == "Linux"
    assert set(board.facts.libraries) == {"numpy", "onnxruntime"}


def test_a_bundle_is_deployed_once(tmp_path: Path, tiny_decoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, sizes = open_bundle(tiny_decoder.directory), []
    board = Board(LocalTransport(tmp_path), sys.executable)
    first = deploy(board, bundle, None, lambda stage, done, total: sizes.append((done, total)))
    assert sizes[-1][0] == sizes[-1][1] == bundle.size + (bundle.directory / "edgeq.json").stat().st_size
    monkeypatch.setattr(board, "_send", lambda *arguments: pytest.fail("sent again"))
    assert deploy(board, bundle, None) == first


def test_a_cut_transfer_goes_on(tmp_path: Path, tiny_decoder: Any) -> None:
    bundle, board = open_bundle(tiny_decoder.directory), Board(LocalTransport(tmp_path), sys.executable)
    record = bundle.manifest.files["model.onnx"]
    part = tmp_path / "blobs" / f"{record.sha256}.part"
    part.parent.mkdir()
    part.write_bytes(bundle.model_path.read_bytes()[:1000])
    steps: list[int] = []
    deploy(board, bundle, None, lambda stage, done, total: steps.append(done))
    assert 1000 in steps
    assert not part.exists()


FULL_DISK = """
import runpy, shutil, sys
shutil.disk_usage = lambda path: shutil._ntuple_diskusage(0, 0, (16 << 20) + 5)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "edgeq").write_text("a file")
    with pytest.raises(
        EdgeqError, match=r"cannot write on the board, found .*; free some space there, or make /.*/edgeq"
    ):
        Board(LocalTransport(tmp_path / "edgeq"), sys.executable)


def test_a_disk_that_is_too_small_is_named_before_anything_is_sent(
    tmp_path: Path, tiny_decoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board(LocalTransport(tmp_path), sys.executable)
    board.facts = board.facts.model_copy(update={"disk_free": (16 << 20) + 7})
    with pytest.raises(EdgeqError, match=r"^local: disk full, found 7 bytes free, wanted \d+; free some space there"):
        deploy(board, open_bundle(tiny_decoder.directory), None)
    assert list((tmp_path / "blobs").iterdir()) == []


def test_a_full_disk_on_the_board_is_named(tmp_path: Path, tiny_decoder: Any) -> None:
    board = Board(LocalTransport(tmp_path), sys.executable)
    agent = board.command
    board.command = lambda *words: [sys.executable, "-c", FULL_DISK, *agent(*words)[1:]]  # type: ignore[method-assign]
    with pytest.raises(EdgeqError, match="local: disk full: 5 bytes free below"):
        deploy(board, open_bundle(tiny_decoder.directory), None)
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_job_runs_where_the_bundle_was_deployed(board: Board, job: Job) -> None:
    seen: list[str] = []
    events = measure_events(board, job, lambda event: seen.append(event["event"]))
    wanted = ["conditions", "loaded", "repetition", "repetition", "done", "conditions"]
    assert seen == [event["event"] for event in events] == wanted
    assert [event["when"] for event in events if event["event"] == "conditions"] == ["before", "after"]
    measured = Measurement.of(job, parse_events(events, "local"))
    timing = measured.repetitions[0].timing
    times = [timing.start_ns, timing.prompt_end_ns, *timing.token_ends_ns]
    assert len(times) == 6
    assert times == sorted(times)
    assert measured.memory_peak.anonymous > measured.loaded.before.anonymous


def test_a_board_without_a_sensor_says_so(board: Board, job: Job) -> None:
    events = measure_events(board, replace(job, idle_seconds=0.05))
    power = next(event for event in events if event["event"] == "power")
    if power["source"] is None:
        assert power["reason"]
        assert not any(event["event"] == "idle" for event in events)
        assert "energy" not in events[3]


def test_a_mendable_mistake_arrives_as_one(board: Board, job: Job) -> None:
    with pytest.raises(EdgeqError, match=r"^pp900: the test does not fit the model's context, found 900 tokens"):
        measure_events(board, replace(job, test=Test(prompt=900)))


def test_processors_are_chosen(board: Board, job: Job) -> None:
    measure_events(board, replace(job, processors=(0,)))
    with pytest.raises(EdgeqError, match=r"^--cores: no such processors, found \[4095\]"):
        measure_events(board, replace(job, processors=(4095,)))


def test_one_at_a_time(board: Board, job: Job, root: Path) -> None:
    with (
        hold(root / "lock", "eve@laptop"),
        pytest.raises(BusyBoardError, match=r"local: eve@laptop has been measuring on this board for \d+ s; try again"),
    ):
        measure_events(board, job)


def test_a_worker_that_is_killed_is_reported(board: Board, job: Job, root: Path) -> None:
    def kill(event: dict[str, Any]) -> None:
        if event["event"] == "loaded":
            (worker,) = agents_running(root, "work")
            os.kill(worker, signal.SIGKILL)

    with pytest.raises(EdgeqError, match=r"pp8\+tg4: .* ended without a result, found SIGKILL.*run out of memory"):
        measure_events(board, replace(job, repetitions=100_000), kill)


def test_an_agent_that_is_killed_takes_its_worker_along(board: Board, job: Job, root: Path) -> None:
    workers: list[int] = []

    def kill(event: dict[str, Any]) -> None:
        if event["event"] == "repetition" and not workers:
            workers.extend(agents_running(root, "work"))
            (agent,) = agents_running(root, "measure")
            os.kill(agent, signal.SIGKILL)

    with pytest.raises(EdgeqError, match="ended without a result, found SIGKILL"):
        measure_events(board, replace(job, repetitions=100_000), kill)
    assert workers
    wait_until(lambda: not agents_running(root, "work"))


def test_an_interrupt_leaves_no_process_on_the_board(board: Board, job: Job, root: Path) -> None:
    workers: list[int] = []

    def interrupt(event: dict[str, Any]) -> None:
        if event["event"] == "repetition":
            workers.extend(agents_running(root, "work"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_events(board, replace(job, repetitions=100_000), interrupt)
    assert workers
    wait_until(lambda: not agents_running(root, "measure", "work"))


def test_a_host_that_dies_leaves_no_process_on_the_board(board: Board, job: Job, root: Path) -> None:
    command = board.transport.command(board.command("measure"))
    agent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert agent.stdin is not None
    assert agent.stdout is not None
    agent.stdin.write(replace(job, repetitions=100_000).to_json().encode() + b"\n")
    agent.stdin.flush()
    while json.loads(agent.stdout.readline())["event"] != "repetition":
        pass
    assert agents_running(root, "work")
    agent.stdin.close()
    threading.Thread(target=agent.stdout.read, daemon=True).start()
    assert agent.wait(PATIENCE) == 3
    wait_until(lambda: not agents_running(root, "measure", "work"))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("print('hello')", "the board sends something else than events, found b'hello"),
        ('print(\'{"event": "repetition", "ns": NaN}\')', "something else than events"),
        ("print('{}')", "wrong event from the board"),
        ("print('[1]')", "something else than events"),
        ("import sys; sys.exit('out of luck')", "ended without a result, found exit code 1: out of luck"),
        ("import sys; sys.stdout.write('x' * (5 << 20))", "the board sends too much"),
        ("pass", "ended without a result, found exit code 0"),
    ],
)
def test_a_hostile_board_is_refused(board: Board, job: Job, script: str, message: str) -> None:
    board.command = lambda verb, *arguments: [sys.executable, "-c", script]  # type: ignore[method-assign]
    with pytest.raises(EdgeqError, match=message):
        measure_events(board, job)


class Greeting(LocalTransport):
    """A board whose login shell has something to say before it runs anything."""

    def command(self, argv: Sequence[str]) -> list[str]:
        return ["sh", "-c", 'echo "Welcome!"; echo "You have mail."; exec "$@"', "sh", *argv]


def test_a_shell_that_greets_is_no_matter(root: Path, job: Job) -> None:
    board = Board(Greeting(root), sys.executable)
    assert [event["event"] for event in measure_events(board, job)].count("repetition") == 2


class Elsewhere(LocalTransport):
    """A board whose shell finds no Python."""

    def command(self, argv: Sequence[str]) -> list[str]:
        return ["env", "PATH=/nonexistent", "/bin/sh", *argv[1:]] if argv[0] == "sh" else list(argv)


def test_a_board_without_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match="the board has no Python"):
        Board(Elsewhere(tmp_path / "edgeq"))


def test_a_bundle_that_extends_no_cache_is_refused(board: Board, job: Job) -> None:
    model = Model(**{**vars(job.model), "file": "absent.onnx"})
    with pytest.raises(EdgeqError, match=r"absent\.onnx: ONNX Runtime refuses the model"):
        measure_events(board, replace(job, model=model))
