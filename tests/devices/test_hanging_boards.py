# SPDX-License-Identifier: Apache-2.0
"""Boards that hang, or send without end, while something is sent to them or measured on them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeq.bundle.reader import open_bundle
from edgeq.errors import EdgeqError
from edgeq_devices.answers import read_lines
from edgeq_devices.board import Board, hashes_of
from edgeq_devices.deploy import deploy
from edgeq_devices.job import Job, Model, Test
from edgeq_devices.remote import measure_events
from edgeq_devices.transports import LocalTransport
from tests.devices.processes import PATIENCE

HANGS = "import time; time.sleep(1000)"
TAKES_ALL = "import sys, time; sys.stdin.buffer.read(); time.sleep(1000)"
FLOODS = "import sys\nwhile True: sys.stdout.write('x' * (1 << 20))"
NEVER_READS = "import sys\nwhile True: sys.stdout.write('\\n'); sys.stdout.flush()"
LARGE = 8 << 20  # more than pipes hold


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(LocalTransport(tmp_path / "edgeq"), sys.executable)


@pytest.fixture
def limit_silence(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Only boards that shall be given up are so soon: a busy machine takes its time to start the others' programs."""

    def limit(seconds: float) -> None:
        for module in ("board", "remote"):
            monkeypatch.setattr(f"edgeq_devices.{module}.SILENCE_SECONDS", seconds)

    return limit


def replace_verb(board: Board, verb: str, script: str) -> None:
    """Another program takes the place of one of the agent's verbs."""
    agent = board.command

    def command(asked: str, *arguments: str) -> list[str]:
        return [sys.executable, "-c", script] if asked == verb else agent(asked, *arguments)

    board.command = command  # type: ignore[method-assign]


def large_file(directory: Path) -> dict[Path, str]:
    path = directory / "large"
    path.write_bytes(bytes(LARGE))
    return {path: hashes_of(directory, ["large"])["large"]}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (HANGS, "the board does not answer, found silence for 1 s"),
        (TAKES_ALL, "the board does not answer, found silence for 1 s"),
        (FLOODS, "the board does not answer, found silence for 1 s"),
        (f"import sys; sys.stdin.buffer.read()\n{FLOODS}", "something else than events"),
        ("import sys; sys.exit('rebooting')", "the transfer was cut off, found rebooting"),
        ("print('{\"received\": 5}')", "the transfer was cut off, found 5 files"),
        ("print('{\"received\": NaN}')", "something else than events"),
    ],
)
def test_a_transfer_ends(
    board: Board, tmp_path: Path, script: str, message: str, limit_silence: Callable[[float], None]
) -> None:
    files = large_file(tmp_path)
    limit_silence(1.0 if "silence" in message else PATIENCE)
    replace_verb(board, "receive", script)
    start = time.monotonic()
    with pytest.raises(EdgeqError, match=message):
        board.send(files)
    assert time.monotonic() - start < PATIENCE
    assert [path.name for path in (tmp_path / "edgeq").iterdir()].count("bundles") <= 1


def test_a_transfer_that_hung_goes_on(board: Board, tiny_decoder: Any, limit_silence: Callable[[float], None]) -> None:
    agent = board.command
    replace_verb(board, "receive", HANGS)
    limit_silence(1.0)
    with pytest.raises(EdgeqError, match="does not answer"):
        deploy(board, open_bundle(tiny_decoder.directory), None)
    board.command = agent  # type: ignore[method-assign]
    limit_silence(PATIENCE)
    assert Path(deploy(board, open_bundle(tiny_decoder.directory), None).directory).is_dir()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (HANGS, "local: the board does not answer, found silence for 1 s"),
        (f'print(\'{{"event": "conditions"}}\', flush=True)\n{HANGS}', "found silence for 1 s"),
        (NEVER_READS, "the board sends too much"),
        ("print(); print(); print('{\"event\": 7}')", "wrong event from the board"),
    ],
)
def test_a_measurement_ends(
    board: Board,
    script: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    limit_silence: Callable[[float], None],
) -> None:
    limit_silence(1.0 if "silence" in message else PATIENCE)
    monkeypatch.setattr("edgeq_devices.answers.TOTAL_BYTES", 100_000)
    replace_verb(board, "measure", script)
    start = time.monotonic()
    with pytest.raises(EdgeqError, match=message):
        measure_events(board, Job(Model("bundle"), Test(prompt=1), threads=1))
    assert time.monotonic() - start < PATIENCE


class Clock:
    """A time that passes when a test says so."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_heartbeats_keep_a_quiet_measurement_alive(
    board: Board, monkeypatch: pytest.MonkeyPatch, limit_silence: Callable[[float], None]
) -> None:
    clock = Clock()

    def slowly(*arguments: Any) -> Iterator[bytes]:
        for line in read_lines(*arguments):
            clock.now += 0.6
            yield line

    limit_silence(1.0)
    monkeypatch.setattr("edgeq_devices.silence.time", clock)
    monkeypatch.setattr("edgeq_devices.remote.read_lines", slowly)
    script = "import time\nfor _ in range(15): print(flush=True); time.sleep(0.1)\nimport sys; sys.exit('the end')"
    replace_verb(board, "measure", script)
    with pytest.raises(EdgeqError, match="exit code 1: the end"):
        measure_events(board, Job(Model("bundle"), Test(prompt=1), threads=1))
    assert clock.now > 8
