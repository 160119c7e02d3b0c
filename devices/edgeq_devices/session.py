# SPDX-License-Identifier: Apache-2.0
"""A board opened for measuring bundles: this machine in place, others with what they need sent there."""

from __future__ import annotations

import getpass
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeq.bundle.platforms import current_platform
from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError
from edgeq_devices.answers import number, text
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
from edgeq_ops import library_path

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

        Raises:
            EdgeqError: There are no operators for the board, or the transfer failed.
        """
        operators = self._operators(library) if bundle.needs_operators else None
        if self.board.name == "local":
            return model_of(bundle, str(bundle.directory.resolve()), str(operators) if operators else None)
        return deploy(self.board, bundle, operators, progress)

    def measure(self, job: Job, listen: Listener = lambda event: None) -> Measurement:
        """Measures one job.

        Raises:
            EdgeqError: The board was busy, the connection was lost, or the measuring process failed there.
        """
        events = measure_events(self.board, job, listen)
        return Measurement.of(job, parse_events(events, self.board.name))

    def _operators(self, library: Path | None) -> Path:
        if library is not None:
            if not library.is_file():
                raise EdgeqError("no such operator library", file=library)
            return library
        if self.platform == current_platform():
            return library_path()
        raise EdgeqError(
            "no operators for the board",
            field=self.board.name,
            wanted=f"a library for {self.platform}",
            remedy="give one with --library, such as the one in a bundle exported with --target " + self.platform,
        )


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
def open_session(device: str, python: str | None = None) -> Iterator[Session]:
    """Opens the board that ``--device`` names; this machine measures with this interpreter.

    Raises:
        EdgeqError: The board cannot be reached, or lacks what the agent needs.
    """
    transport = open_transport(device)
    try:
        session = Session(Board(transport, python or (sys.executable if device == "local" else None)))
        _check_libraries(session.board)
        yield session
    finally:
        transport.close()


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
