# SPDX-License-Identifier: Apache-2.0
"""A board opened for measuring bundles: this machine in place, others with what they need sent there."""

from __future__ import annotations

import getpass
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeq.bundle.elf import check_machine
from edgeq.bundle.platforms import current_platform
from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError
from edgeq_devices.answers import number, printable, text
from edgeq_devices.board import Board
from edgeq_devices.boards import identify, load_boards
from edgeq_devices.boards.schema import Identity
from edgeq_devices.deploy import Report as Progress
from edgeq_devices.deploy import deploy, model_of
from edgeq_devices.events import parse_events
from edgeq_devices.job import Job, Model
from edgeq_devices.remote import Listener, measure_events
from edgeq_devices.results import Measurement
from edgeq_devices.transports import open_transport
from edgeq_devices.transports.base import run
from edgeq_ops import platforms

_PLATFORMS = {"x86_64": "linux-x86_64", "aarch64": "linux-aarch64", "armv7l": "linux-armv7", "armv8l": "linux-armv7"}


class Session:
    """A board that measures.

    Args:
        board: Reached and answering.

    Attributes:
        board: The same.
        kind: Name of its description in :mod:`edgeq_devices.boards`.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.kind = identify(identity(board.facts))
        self._notes = tuple(_emulation(board))

    @property
    def platform(self) -> str:
        """The platform that its operators are built for."""
        if self.board.facts.get("system") == "Android":
            return "android-arm64"
        machine = text(self.board.facts, "machine", self.board.name)
        return _PLATFORMS.get(machine, f"linux-{machine}")

    @property
    def cores(self) -> int:
        """Physical cores of the board, as many as its description or its own account tells."""
        described = load_boards()[self.kind].clusters
        if described:
            return sum(len(cluster.processors) for cluster in described)
        return int(number(self.board.facts, "cores", self.board.name))

    def processors(self, cores: str) -> tuple[int, ...]:
        """The processors of a cluster of the board, or those in a list such as ``0-3,6``; none, for any, for ``all``.

        Raises:
            EdgeqError: The board has no such cluster.
        """
        if cores == "all":
            return ()
        if cores[0].isdigit():
            return _numbers(cores)
        board = load_boards()[self.kind]
        try:
            return tuple(board.processors(cores))
        except KeyError:
            known = ", ".join(cluster.name for cluster in board.clusters) or "none that edgeq knows"
            raise EdgeqError(
                "no such cluster", field="--cores", found=repr(cores), wanted=f"{known}, or numbers such as 0-3"
            ) from None

    def prepare(self, bundle: Bundle, library: Path | None, progress: Progress) -> Model:
        """Makes a bundle ready to run there; hashes have been compared.

        Args:
            bundle: The bundle.
            library: Operators for the board; by default this installation's where they fit, else those that
                ``edgeq devices setup`` left there.
            progress: Told how much has been sent.

        Raises:
            EdgeqError: There are no operators for the board, or the transfer failed.
        """
        operators = self._operators(library) if bundle.needs_operators else None
        if self.board.name == "local":
            return model_of(bundle, str(bundle.directory.resolve()), str(operators) if operators else None)
        if bundle.needs_operators and operators is None:
            return replace(deploy(self.board, bundle, None, progress), library=self.board.facts["operators"])
        return deploy(self.board, bundle, operators, progress)

    def measure(self, job: Job, listen: Listener = lambda event: None) -> Measurement:
        """Measures one job.

        Raises:
            EdgeqError: The board was busy, the connection was lost, or the measuring process failed there.
        """
        events = measure_events(self.board, job, listen)
        return Measurement.of(job, parse_events(events, self.board.name), self._notes)

    def _operators(self, library: Path | None) -> Path | None:
        """The library to send; ``None`` for the one that is there."""
        if library is None and self.platform != current_platform() and self.board.facts.get("operators"):
            return None
        return library_for(self.platform, library)


def library_for(platform_name: str, library: Path | None) -> Path:
    """The operator library for a platform: the one given, this installation's where it fits, or one built for it.

    Raises:
        EdgeqError: There is none, it is for another platform, or it cannot be built here.
    """
    if library is None:
        return platforms.library_for(platform_name, current_platform())
    if not library.is_file():
        raise EdgeqError("no such operator library", file=library)
    check_machine(library, platform_name)
    return library


def _emulation(board: Board) -> Iterator[str]:
    """Says so where the board's kernel is of another machine than the programs that it runs."""
    kernel = run(board.transport, ["uname", "-m"]).stdout.decode(errors="replace").strip()
    machine = text(board.facts, "machine", board.name)
    if kernel != machine and {kernel, machine} <= _PLATFORMS.keys() and "x86_64" in (kernel, machine):
        yield f"emulated: {machine} on {printable(kernel)}; its times say nothing about a real board"


def identity(facts: dict[str, Any]) -> Identity:
    """What a board's own account says about which board it is."""
    system, model = facts.get("system"), facts.get("model")
    return Identity(
        system="Android" if system == "Android" else "Linux",
        machine=str(facts.get("machine")),
        model=model if isinstance(model, str) else None,
    )


def holder() -> str:
    """Who measures, as others on the same board are told."""
    return f"{getpass.getuser()}@{platform.node()}"


@contextmanager
def open_board(device: str, python: str | None = None) -> Iterator[Session]:
    """Opens the board that ``--device`` names; this machine measures with this interpreter.

    Raises:
        EdgeqError: The board cannot be reached, or lacks what the agent needs.
    """
    transport = open_transport(device)
    try:
        yield Session(Board(transport, python or (sys.executable if device == "local" else None)))
    finally:
        transport.close()


@contextmanager
def open_session(device: str, python: str | None = None) -> Iterator[Session]:
    """As `open_board`, for measuring.

    Raises:
        EdgeqError: As `open_board`; or it lacks libraries.
    """
    with open_board(device, python) as session:
        _check_libraries(session.board)
        yield session


def _check_libraries(board: Board) -> None:
    libraries = board.facts.get("libraries")
    missing = [name for name in ("onnxruntime", "numpy") if not (isinstance(libraries, dict) and name in libraries)]
    if missing:
        raise EdgeqError(
            "the board lacks libraries",
            field=board.name,
            wanted=" and ".join(missing),
            remedy=f"edgeq devices setup {board.name}",
        )


def _numbers(text: str) -> tuple[int, ...]:
    found: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found.extend(range(int(first), int(last or first) + 1))
    except ValueError:
        raise EdgeqError(
            "not a list of processors", field="--cores", found=repr(text), wanted="such as 0-3,6"
        ) from None
    return tuple(found)
