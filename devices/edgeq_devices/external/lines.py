# SPDX-License-Identifier: Apache-2.0
"""Lines of numbers, as meters print them on serial ports."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgeq_devices.external.recording import AMPERES, TIME, VOLTS, WATTS, power_of

_SEPARATOR = re.compile(r"[,;\s]+")
_UNNAMED = {1: (WATTS,), 2: (VOLTS, AMPERES), 3: (TIME, VOLTS, AMPERES)}  # by the number of columns


class LineParser:
    """Turns lines into samples.

    A line that holds column names names the columns of the lines after it; without one, a single number is watts, two
    are volts and amperes, three are seconds, volts and amperes.

    Args:
        columns: Names that are known beforehand.

    Attributes:
        wrong: Lines that were neither samples nor names.
        example: The last of them.
    """

    def __init__(self, columns: Sequence[str] = ()) -> None:
        self._columns = tuple(columns)
        self.wrong, self.example = 0, ""

    def parse(self, line: str) -> tuple[float | None, float] | None:
        """Seconds of the meter's clock, if the line has any, and watts; ``None`` if it is no sample."""
        cells = [cell for cell in _SEPARATOR.split(line.strip()) if cell]
        if not cells:
            return None
        if {WATTS, VOLTS} & set(cells):
            self._columns = tuple(cells)
            return None
        columns = self._columns or _UNNAMED.get(len(cells), ())
        row = dict(zip(columns, cells, strict=False))
        try:
            return (float(row[TIME]) if TIME in columns else None), power_of(row)
        except (KeyError, ValueError):
            self.wrong, self.example = self.wrong + 1, line[:60]
            return None
