# SPDX-License-Identifier: Apache-2.0
"""Boards over ssh: this machine again, through a real sshd."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeq.bundle.reader import open_bundle
from edgeq.errors import EdgeqError
from edgeq_devices.board import Board
from edgeq_devices.deploy import deploy
from edgeq_devices.job import Job, Model, Test
from edgeq_devices.remote import measure_events
from edgeq_devices.transports import SshTransport
from edgeq_devices.transports.base import run
from tests.devices.processes import PATIENCE, agents_running, children, wait_until
from tests.devices.transports.sshd import Server, make_key, run_sshd, trust


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def transport(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshTransport]:
    transport = server.transport()
    transport.root = str(tmp_path_factory.mktemp("remote home") / "edgeq; $(touch never)")
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def board(transport: SshTransport) -> Board:
    return Board(transport, sys.executable)


@pytest.fixture(scope="module")
def model(board: Board, tiny_decoder: Any) -> Model:
    return deploy(board, open_bundle(tiny_decoder.directory), library=None)


def test_words_arrive_as_they_are(transport: SshTransport) -> None:
    words = ["a b", "$(echo no)", "'", '"', "*", "\\", ";", "é"]
    done = run(transport, [sys.executable, "-c", "import sys; print(sys.argv[1:])", *words])
    assert done.stdout.decode().strip() == str(words)


def test_bytes_and_exit_codes_pass_unchanged(transport: SshTransport) -> None:
    content = bytes(range(256)) * 1000
    assert run(transport, ["cat"], content).stdout == content
    assert run(transport, ["sh", "-c", "exit 7"]).returncode == 7


def test_a_bundle_is_deployed_and_measured(board: Board, model: Model) -> None:
    events = measure_events(board, Job(model, Test(prompt=8, generate=4), threads=1, repetitions=2))
    assert [event["event"] for event in events].count("repetition") == 2


def test_a_lost_connection_ends_the_measurement_on_the_board(server: Server, board: Board, model: Model) -> None:
    root = Path(board.transport.root)
    job = Job(model, Test(prompt=8, generate=4), threads=1, repetitions=1_000_000)
    seen: list[str] = []

    def cut(event: dict[str, Any]) -> None:
        seen.append(event["event"])
        if event["event"] == "repetition" and seen.count("repetition") == 1:
            assert agents_running(root, "work")
            for process in children(server.process.pid):  # the connection's own sshd
                os.kill(process, signal.SIGKILL)

    with pytest.raises(EdgeqError, match=f"ssh://.*127.0.0.1:{server.port}"):
        measure_events(board, job, cut)
    assert seen.count("repetition") >= 1
    wait_until(lambda: not agents_running(root, "measure", "work"))
    measure_events(board, replace(job, repetitions=1))  # a new connection, and the lock is free


def test_a_changed_host_key_is_refused(server: Server, tmp_path: Path) -> None:
    before = server.known_hosts.read_text()
    trust(server, make_key(tmp_path / "other"))
    try:
        with pytest.raises(EdgeqError, match=r"the host key has changed.*ssh-keygen -R"):
            run(server.transport(), ["true"])
        server.known_hosts.write_text("")
        with pytest.raises(EdgeqError, match=r"the host key is unknown.*connect once with"):
            run(server.transport(), ["true"])
    finally:
        server.known_hosts.write_text(before)


def test_a_wrong_key_is_refused(server: Server, tmp_path: Path) -> None:
    client = tmp_path / "client"
    text = (server.directory / "client").read_text()
    client.write_text(text.replace(str(server.directory / "user"), str(make_key(tmp_path / "stranger"))))
    transport = SshTransport("root@127.0.0.1", server.port, ["-F", str(client)])
    with pytest.raises(EdgeqError, match=r"the board refuses the login.*ssh-copy-id"):
        run(transport, ["true"])


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(EdgeqError, match=r"^ssh://no-such-board\.invalid: unknown host"):
        run(SshTransport("no-such-board.invalid", None, ["-F", "/dev/null"]), ["true"])


def test_a_port_where_nobody_listens_is_refused(server: Server) -> None:
    transport = SshTransport("root@127.0.0.1", 1, ["-F", str(server.directory / "client")])
    with pytest.raises(EdgeqError, match="refuses the connection"):
        run(transport, ["true"])


def test_a_command_that_hangs_is_given_up(transport: SshTransport) -> None:
    start = time.monotonic()
    with pytest.raises(EdgeqError, match="the board does not answer, found no end of sleep after 1 s"):
        run(transport, ["sleep", "1000"], timeout=1)
    assert time.monotonic() - start < PATIENCE
