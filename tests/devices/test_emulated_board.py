# SPDX-License-Identifier: Apache-2.0
"""A board of another architecture: 64-bit ARM Debian with its own sshd, under qemu-user.

`make test-arm` prepares the emulator, a root directory and the operators, and says where they are.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from edgeq.bundle.reader import open_bundle
from edgeq.errors import EdgeqError
from edgeq_devices.agent.lock import SHARED_LOCK
from edgeq_devices.board import Board, hashes_of
from edgeq_devices.job import Job, Test
from edgeq_devices.session import Session
from edgeq_devices.setup import set_up
from edgeq_devices.transports import SshTransport
from edgeq_devices.transports.base import run
from edgeq_ops.library import LIBRARY_NAME
from tests.devices.emulated_board import EmulatedBoard, obstacle, run_board
from tests.devices.processes import children, wait_until
from tests.devices.transports.sshd import Server

VARIABLES = ("EDGEQ_ARM_EMULATOR", "EDGEQ_ARM_ROOT", "EDGEQ_ARM_BUILD")
pytestmark = pytest.mark.skipif(
    not all(name in os.environ for name in VARIABLES), reason="not under `make test-arm`, which prepares an emulator"
)
ENDLESS = 100_000  # repetitions
LARGE = 24 << 20  # bytes; connections and pipes hold less than a quarter


@dataclass
class Emulated:
    """A board that is on, and the way to it."""

    board: EmulatedBoard
    server: Server
    transport: SshTransport

    def measuring(self) -> bool:
        """Whether an agent measures there."""
        return run(self.transport, ["pgrep", "-f", "[p]yz (measure|work)"]).returncode == 0

    def cut(self) -> None:
        """Ends the connections on the board's side."""
        (sshd,) = children(self.server.process.pid)
        for connection in children(sshd):
            os.kill(connection, signal.SIGKILL)

    def reboot(self) -> None:
        """Off and on again."""
        self.board.stop()
        self.server = self.board.start()


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    if (reason := obstacle()) is not None:
        pytest.skip(reason)
    emulator, root = (Path(os.environ[name]) for name in VARIABLES[:2])
    with run_board(tmp_path_factory.mktemp("board"), root, emulator) as (board, server):
        transport = server.transport()
        transport.lock = SHARED_LOCK  # the board's own, not the host's
        yield Emulated(board, server, transport)
        transport.close()


@pytest.fixture(scope="module")
def library() -> Path:
    return Path(os.environ["EDGEQ_ARM_BUILD"]) / LIBRARY_NAME


@pytest.fixture(scope="module")
def session(emulated: Emulated, library: Path) -> Session:
    ready = set_up(emulated.transport, library, "python3", offline=True, step=lambda step: None)
    assert ready.selected == "bf16"
    assert ready.available == ("generic", "neon", "dotprod", "i8mm", "bf16")
    return Session(Board(emulated.transport, "python3"))


@pytest.fixture(scope="module")
def job(session: Session, tiny_decoder: Any) -> Job:
    model = session.prepare(open_bundle(tiny_decoder.directory), None, lambda *progress: None)
    return Job(model, Test(prompt=4, generate=2), threads=1, repetitions=2)


def test_the_board_is_of_another_architecture(session: Session) -> None:
    facts = session.board.facts
    assert (session.kind, session.platform) == ("generic-linux", "linux-aarch64")
    assert (facts.machine, facts.emulated_on, facts.libc) == ("aarch64", "x86_64", "glibc 2.36")
    assert facts.libraries.keys() == {"numpy", "onnxruntime"}
    assert facts.operators == "/root/.cache/edgeq/bundles/operators/libedgeq_ops.so"


def test_a_measurement_is_marked_as_emulated(session: Session, job: Job) -> None:
    measured = session.measure(job)
    assert len(measured.repetitions) == 2
    assert measured.flags[0].startswith("emulated: aarch64 on x86_64")


def test_a_transfer_that_is_cut_off_goes_on(emulated: Emulated, session: Session, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(random.Random(0).randbytes(LARGE))
    files = {tmp_path / "large": hashes_of(tmp_path, ["large"])["large"]}
    sent: list[int] = []

    def cut(count: int) -> None:
        sent.append(count)
        if sum(sent) >= LARGE // 2 and len(sent) > 1:
            sent.append(-LARGE)
            emulated.cut()

    with pytest.raises(EdgeqError, match=r"connection (was lost|failed)|cut off"):
        session.board.send(files, cut)
    again: list[int] = []
    session.board.send(files, again.append)
    assert again[0] >= LARGE // 4
    assert sum(again) == LARGE


@pytest.mark.parametrize("end", ["interrupt", "cut", "reboot"])
def test_a_measurement_that_ends_early_leaves_nothing_and_is_repeated(
    emulated: Emulated, session: Session, job: Job, end: str
) -> None:
    seen: list[str] = []

    def listen(event: dict[str, Any]) -> None:
        seen.append(event["event"])
        if seen.count("repetition") == 1 and event["event"] == "repetition":
            if end == "interrupt":
                raise KeyboardInterrupt
            getattr(emulated, end)()

    if end == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            session.measure(replace(job, repetitions=ENDLESS), listen)
    else:
        with pytest.raises(EdgeqError, match=r"^ssh://root@127\.0\.0\.1:\d+: the connection (was lost|failed)"):
            session.measure(replace(job, repetitions=ENDLESS), listen)
    wait_until(lambda: not emulated.measuring(), 60)
    assert len(session.measure(job).repetitions) == 2
