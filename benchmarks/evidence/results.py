# SPDX-License-Identifier: Apache-2.0
"""Measured cells as JSON lines, so that runs can be stopped, continued and extended."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence.cells import Cell


@dataclass(frozen=True)
class Record:
    """One line: a cell, what was measured, and under which conditions."""

    cell: Cell
    result: dict[str, Any]
    conditions: dict[str, Any]


class Results:
    """A file of records; several processes may append to it.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Record]:
        """The latest record of each cell, in the order in which the cells were first measured."""
        latest: dict[str, Record] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []:
            values = json.loads(line)
            record = Record(Cell.from_dict(values["cell"]), values["result"], values["conditions"])
            latest[record.cell.key] = record
        return iter(latest.values())

    def keys(self) -> set[str]:
        """Keys of the cells measured so far."""
        return {record.cell.key for record in self}

    def append(self, record: Record) -> None:
        """Adds a line."""
        values = {"cell": record.cell.as_dict(), "result": record.result, "conditions": record.conditions}
        with self.path.open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps(values) + "\n")
