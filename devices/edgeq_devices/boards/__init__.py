# SPDX-License-Identifier: Apache-2.0
"""Boards as data: one TOML file each; adding one is adding a file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError

from edgeq.errors import EdgeqError
from edgeq_devices.boards.schema import Board, Identity

DIRECTORY = Path(__file__).parent


def load_boards(directory: Path = DIRECTORY) -> dict[str, Board]:
    """All boards by the name of their file, in alphabetical order.

    Raises:
        EdgeqError: A file does not follow the schema.
    """
    return {path.stem: load_board(path) for path in sorted(directory.glob("*.toml"))}


def load_board(path: Path) -> Board:
    """Reads one board.

    Raises:
        EdgeqError: The file is not TOML or does not follow the schema.
    """
    try:
        return Board.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EdgeqError("not TOML", file=path, found=str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise EdgeqError(
            f"wrong board description ({first['msg']})",
            file=path,
            field=".".join(map(str, first["loc"])) or None,
            found=repr(first["input"])[:80],
        ) from error


def identify(identity: Identity, boards: dict[str, Board] | None = None) -> str:
    """Which board a machine is: the first whose patterns match, else the generic one of its system.

    Args:
        identity: What the machine says about itself.
        boards: By name; all that edgeq knows if not given.
    """
    known = load_boards() if boards is None else boards
    for name, board in known.items():
        if identity.model and _matches(identity.model, board.device_tree):
            return name
    for name, board in known.items():
        if board.fallback and board.fallback.system == identity.system and identity.machine in board.fallback.machines:
            return name
    return "generic-linux"


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
