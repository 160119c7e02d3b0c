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
from typing import Literal

from edgeq.bundle.elf import check_machine
from edgeq.bundle.platforms import current_platform
from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError
from edgeq_devices.board import Board
from edgeq_devices.board_facts import BoardFacts
from edgeq_devices.boards import identify, load_boards
from edgeq_devices.boards.schema import Identity
from edgeq_devices.conditions import parse_processors
from edgeq_devices.deploy import Report as Progress
from edgeq_devices.deploy import deploy, model_of
from edgeq_devices.events import parse_events
from edgeq_devices.job import Job, Model
from edgeq_devices.power.source import Rails
from edgeq_devices.remote import Listener, measure_events
from edgeq_devices.results import Measurement
from edgeq_devices.transports import open_transport
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
        self.kind = kind_of(board.facts)
        self._notes = tuple(_emulation(board.facts))

    @property
    def platform(self) -> str:
        """The platform that its operators are built for."""
        if self.board.facts.system == "Android":
            return "android-arm64"
        machine = self.board.facts.machine
        return _PLATFORMS.get(machine, f"linux-{machine}")

    @property
    def facts(self) -> BoardFacts:
        """What the board says about itself, with those rails counted that its description adds up."""
        rails = self.rails
        if rails is None:
            return self.board.facts
        sources = tuple(source.with_rails(rails) for source in self.board.facts.power)
        return self.board.facts.model_copy(update={"power": sources})

    @property
    def rails(self) -> Rails | None:
        """Which rails of the board's shunts add up, as its description tells."""
        return rails_of(self.kind)

    def clusters(self) -> dict[str, tuple[int, ...]]:
        """Processors by cluster: as the board's description tells, else as the board itself does."""
        described = load_boards()[self.kind].clusters
        return {cluster.name: cluster.processors for cluster in described} or dict(self.board.facts.clusters)

    def processors(self, cores: str) -> tuple[int, ...]:
        """The processors of a cluster of the board, or those in a list such as ``0-3,6``; none, for any, for ``all``.

        Raises:
            EdgeqError: The board has no such cluster.
        """
        if cores == "all":
            return ()
        if cores[:1].isdigit():
            return _numbers(cores)
        clusters = self.clusters()
        if cores not in clusters:
            known = ", ".join(["all", *(name for name in clusters if name != "all")])
            wanted = f"{known}, or numbers such as 0-3"
            raise EdgeqError("no such cluster", field="--cores", found=repr(cores), wanted=wanted)
        return clusters[cores]

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
            return replace(deploy(self.board, bundle, None, progress), library=self.board.facts.operators)
        return deploy(self.board, bundle, operators, progress)

    def measure(self, job: Job, listen: Listener = lambda event: None) -> Measurement:
        """Measures one job.

        Raises:
            EdgeqError: The board was busy, the connection was lost, or the measuring process failed there.
        """
        events = measure_events(self.board, job, listen)
        return Measurement.of(job, parse_events(events, self.board.name), self._notes, self.board.name)

    def _operators(self, library: Path | None) -> Path | None:
        """The library to send; ``None`` for the one that is there."""
        if library is None and self.platform != current_platform() and self.board.facts.operators:
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


def _emulation(facts: BoardFacts) -> Iterator[str]:
    """Says so where the board's programs run emulated."""
    if facts.emulated_on:
        yield f"emulated: {facts.machine} on {facts.emulated_on}; its times say nothing about a real board"


def kind_of(facts: BoardFacts) -> str:
    """Which board it is, by its own account: the name of its description."""
    system: Literal["Android", "Linux"] = "Android" if facts.system == "Android" else "Linux"
    return identify(Identity(system=system, machine=facts.machine, model=facts.model))


def rails_of(kind: str) -> Rails | None:
    """Which rails of a board's shunts add up, as its description tells."""
    shunts = [source for source in load_boards()[kind].power if source.meter == "hwmon" and source.rails]
    return Rails(shunts[0].rails, shunts[0].leaves_out) if shunts else None


def holder() -> str:
    """Who measures, as others on the same board are told."""
    return f"{getpass.getuser()}@{platform.node()}"


@contextmanager
def open_board(device: str, python: str | None = None, *, fresh: bool = False) -> Iterator[Session]:
    """Opens the board that ``--device`` names; this machine measures with this interpreter.

    Args:
        device: Its address.
        python: Interpreter there.
        fresh: Look past the interpreter that ``edgeq devices setup`` made.

    Raises:
        EdgeqError: The board cannot be reached, or lacks what the agent needs.
    """
    transport = open_transport(device)
    try:
        yield Session(Board(transport, python or (sys.executable if device == "local" else None), fresh=fresh))
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
    missing = [name for name in ("onnxruntime", "numpy") if name not in board.facts.libraries]
    if missing:
        raise EdgeqError(
            "the board lacks libraries",
            field=board.name,
            wanted=" and ".join(missing),
            remedy=f"edgeq devices setup {board.name}",
        )


def _numbers(text: str) -> tuple[int, ...]:
    found = parse_processors(text)
    if not found:
        raise EdgeqError("not a list of processors", field="--cores", found=repr(text), wanted="such as 0-3,6")
    return found
