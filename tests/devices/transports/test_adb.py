# SPDX-License-Identifier: Apache-2.0
"""Boards over adb: the real client, against a server that speaks the protocol and whose device is this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeq.bundle.reader import open_bundle
from edgeq.errors import EdgeqError
from edgeq_devices.board import Board
from edgeq_devices.deploy import deploy
from edgeq_devices.job import Job, Test
from edgeq_devices.remote import measure_events
from edgeq_devices.transports import AdbTransport
from edgeq_devices.transports.adb import find_adb
from edgeq_devices.transports.base import run
from tests.devices.processes import agents_running, wait_until
from tests.devices.transports.adb_server import SERIAL, AdbServer, run_adb_server


@pytest.fixture(scope="module")
def server() -> Iterator[AdbServer]:
    try:
        text = subprocess.run([find_adb(), "version"], capture_output=True, text=True, check=True).stdout
    except EdgeqError as error:
        pytest.skip(str(error))
    found = re.search(r"version 1\.0\.(\d+)", text)
    assert found is not None
    with run_adb_server(int(found[1])) as server:
        yield server


@pytest.fixture
def transport(server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdbTransport:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    transport = AdbTransport(SERIAL)
    transport.root = str(tmp_path / "edgeq $(touch never)")
    return transport


def test_words_bytes_and_exit_codes_pass_unchanged(transport: AdbTransport) -> None:
    words = ["a b", "$(echo no)", "'", '"', "*", "\\", ";", "é"]
    done = run(transport, [sys.executable, "-c", "import sys; print(sys.argv[1:])", *words])
    assert done.stdout.decode().strip() == str(words)
    content = bytes(range(256)) * 1000
    assert run(transport, ["cat"], content).stdout == content
    assert run(transport, ["sh", "-c", "exit 7"]).returncode == 7


def test_a_bundle_is_deployed_and_measured(transport: AdbTransport, tiny_decoder: Any) -> None:
    board, root = Board(transport, sys.executable), Path(transport.root)
    model = deploy(board, open_bundle(tiny_decoder.directory), library=None)
    events = measure_events(board, Job(model, Test(prompt=8, generate=4), threads=1, repetitions=2))
    assert [event["event"] for event in events].count("repetition") == 2

    def interrupt(event: dict[str, Any]) -> None:
        if event["event"] == "repetition":
            assert agents_running(root, "work")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_events(board, Job(model, Test(prompt=8), threads=1, repetitions=1_000_000), interrupt)
    wait_until(lambda: not agents_running(root, "measure", "work"))


def test_a_device_that_reboots_meanwhile_is_named_and_measured_again(
    server: AdbServer, transport: AdbTransport, tiny_decoder: Any
) -> None:
    board, root = Board(transport, sys.executable), Path(transport.root)
    job = Job(deploy(board, open_bundle(tiny_decoder.directory), library=None), Test(prompt=8), 1, 1_000_000)

    workers: list[int] = []

    def reboot(event: dict[str, Any]) -> None:
        if event["event"] == "repetition" and not workers:
            workers.extend(agents_running(root, "work"))
            server.reboot()

    with pytest.raises(EdgeqError, match=f"adb://{SERIAL}: the connection was lost"):
        measure_events(board, job, reboot)
    assert workers
    wait_until(lambda: not agents_running(root, "measure", "work"))
    assert measure_events(board, replace(job, repetitions=1))[-1]["event"] == "conditions"


def test_an_unknown_device_is_named(transport: AdbTransport) -> None:
    with pytest.raises(EdgeqError, match=r"adb://other: unknown device.*adb devices lists"):
        run(AdbTransport("other"), ["true"])
