# SPDX-License-Identifier: Apache-2.0
"""A board of another architecture: 64-bit ARM's Python, NumPy and ONNX Runtime under qemu-user.

`make test-arm` prepares the emulator, a root directory and the operators, and says where they are. Where there is an
sshd the board is reached through it, else over the local transport.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from edgeq.bundle.reader import open_bundle
from edgeq_devices.board import Board
from edgeq_devices.job import Job, Test
from edgeq_devices.session import Session
from edgeq_devices.setup import _selftest, _send_library
from edgeq_devices.transports import LocalTransport, Transport
from edgeq_ops.library import LIBRARY_NAME
from tests.custom_ops.arm import rootfs
from tests.devices.processes import agents_running, wait_until
from tests.devices.transports.sshd import SSHD, run_sshd

VARIABLES = ("EDGEQ_ARM_EMULATOR", "EDGEQ_ARM_ROOT", "EDGEQ_ARM_BUILD")
pytestmark = pytest.mark.skipif(
    not all(name in os.environ for name in VARIABLES), reason="not under `make test-arm`, which prepares an emulator"
)


@dataclass
class Emulated:
    """An emulated board and its operators."""

    transport: Transport
    python: str
    library: Path


def make_python(directory: Path) -> str:
    """An interpreter that looks native: the emulator does not start other programs by itself."""
    emulator, root = (os.environ[name] for name in VARIABLES[:2])
    script = directory / "python3"
    script.write_text(
        f"#!/bin/sh\nexec {emulator} -cpu max -L {root} -E PYTHONHOME={root}/usr -E PYTHONPATH={root}/site "
        f'{rootfs.python(Path(root))} "$@"\n'
    )
    script.chmod(0o755)
    return str(script)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    home = tmp_path_factory.mktemp("arm")
    library = Path(os.environ["EDGEQ_ARM_BUILD"]) / LIBRARY_NAME
    if SSHD is None:
        yield Emulated(LocalTransport(home / "edgeq"), make_python(home), library)
        return
    with run_sshd(tmp_path_factory.mktemp("sshd")) as server:
        transport = server.transport()
        transport.root = str(home / "edgeq")
        yield Emulated(transport, make_python(home), library)
        transport.close()


@pytest.fixture(scope="module")
def session(board: Emulated) -> Session:
    return Session(Board(board.transport, board.python))


@pytest.fixture(scope="module")
def job(session: Session, board: Emulated, tiny_decoder: Any) -> Job:
    model = session.prepare(open_bundle(tiny_decoder.directory), None, lambda *progress: None)
    return Job(model, Test(prompt=4, generate=2), threads=1, repetitions=2, python=board.python)


def test_the_board_is_of_another_architecture(session: Session) -> None:
    assert (session.kind, session.platform) == ("generic-linux", "linux-aarch64")
    assert session.board.facts.libraries.keys() == {"numpy", "onnxruntime"}


def test_the_operators_pass_their_self_test_there(session: Session, board: Emulated) -> None:
    ready = _selftest(session.board, _send_library(session.board, board.library), lambda step: None)
    assert ready.selected == "i8mm"
    assert ready.available == ("generic", "neon", "dotprod", "i8mm")


def test_a_measurement_that_is_cut_off_leaves_nothing_and_is_repeated(session: Session, job: Job) -> None:
    def cut(event: dict[str, Any]) -> None:
        if event["event"] == "repetition":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.measure(replace(job, repetitions=100_000), cut)
    wait_until(lambda: not agents_running("measure", "work"), 60)
    measured = session.measure(job)
    assert len(measured.repetitions) == 2
    assert measured.flags[0].startswith("emulated: aarch64 on x86_64")
