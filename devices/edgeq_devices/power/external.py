# SPDX-License-Identifier: Apache-2.0
"""External meters: recorded CSV, or lines that a meter writes to a serial port.

Their clocks are not the board's. The board makes a pattern of load and rest; where the recorded power follows it best
is the offset between the clocks.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError

Array = NDArray[np.float64]
_TIME, _WATTS, _VOLTS, _AMPERES = "time_s", "power_w", "voltage_v", "current_a"
WANTED = f"{_TIME} and {_WATTS}, or {_TIME}, {_VOLTS} and {_AMPERES}"
LEAST_CORRELATION = 0.7


@dataclass(frozen=True)
class Recording:
    """Power over time.

    Attributes:
        seconds: float64 ``[samples]``, ascending, on the meter's clock.
        watts: float64 ``[samples]``.
    """

    seconds: Array
    watts: Array

    @property
    def rate(self) -> float:
        """Samples per second."""
        return (len(self.seconds) - 1) / float(self.seconds[-1] - self.seconds[0])

    def joules(self, start: float, end: float) -> float:
        """Energy between two times of the meter's clock, by the trapezoidal rule.

        Raises:
            EdgeqError: The recording does not cover them.
        """
        if not self.seconds[0] <= start < end <= self.seconds[-1]:
            raise EdgeqError(
                "the recording does not cover the measurement",
                field="seconds",
                found=f"{self.seconds[0]:.3f} to {self.seconds[-1]:.3f}",
                wanted=f"{start:.3f} to {end:.3f}",
            )
        inside = (self.seconds > start) & (self.seconds < end)
        times = np.concatenate([[start], self.seconds[inside], [end]])
        return float(np.trapezoid(np.interp(times, self.seconds, self.watts), times))

    def shifted(self, offset: float) -> Recording:
        """The same with ``offset`` seconds added to its clock."""
        return Recording(self.seconds + offset, self.watts)


def read_csv(path: Path) -> Recording:
    """Reads a recording with a header row.

    Raises:
        EdgeqError: A column is missing, a value is not a finite number, or the times do not ascend.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return parse_rows(csv.DictReader(file), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EdgeqError("cannot be read as CSV", file=path, found=str(error)) from error


def parse_rows(rows: Iterable[dict[str, str]], source: Path) -> Recording:
    """Rows of column names and values to a recording; raises as :func:`read_csv`."""
    seconds, watts = [], []
    for number, row in enumerate(rows, 2):
        try:
            value = float(row[_WATTS]) if _WATTS in row else float(row[_VOLTS]) * float(row[_AMPERES])
            seconds.append(float(row[_TIME]))
            watts.append(value)
        except KeyError:
            raise EdgeqError("missing column", file=source, found=", ".join(map(str, row)), wanted=WANTED) from None
        except (TypeError, ValueError):
            raise EdgeqError(
                "not a number", file=source, field=f"line {number}", found=str(list(row.values()))
            ) from None
        if not (math.isfinite(watts[-1]) and math.isfinite(seconds[-1])):
            raise EdgeqError("not a finite number", file=source, field=f"line {number}")
    times = np.array(seconds)
    if len(times) < 2 or not (np.diff(times) > 0).all():
        raise EdgeqError("times do not ascend", file=source, field=_TIME, wanted="at least two rows in order of time")
    return Recording(times, np.array(watts))


def clock_offset(recording: Recording, loads: Sequence[tuple[float, float]], search: float = 60.0) -> float:
    """Seconds to add to the meter's clock to obtain the board's.

    Args:
        recording: Power around the pattern.
        loads: Start and end of each stretch of load, on the board's clock, in order.
        search: Largest offset that is tried around the one where both begin together.

    Raises:
        EdgeqError: The power does not follow the pattern.
    """
    step = min(1.0 / recording.rate, 0.05)
    begin, end = loads[0][0] - 1.0, loads[-1][1] + 1.0
    times = np.arange(begin, end, step)
    pattern = np.any([(times >= first) & (times < last) for first, last in loads], axis=0).astype(np.float64)
    pattern -= pattern.mean()
    middle = begin - float(recording.seconds[0])
    best, offset = -1.0, math.nan
    for candidate in np.arange(middle - search, middle + search, step):
        clock = times - candidate
        if clock[0] < recording.seconds[0] or clock[-1] > recording.seconds[-1]:
            continue
        power = np.interp(clock, recording.seconds, recording.watts)
        power -= power.mean()
        norm = float(np.linalg.norm(power) * np.linalg.norm(pattern))
        correlation = float(power @ pattern) / norm if norm else 0.0
        if correlation > best:
            best, offset = correlation, float(candidate)
    if best < LEAST_CORRELATION:
        raise EdgeqError(
            "the recorded power does not follow the load pattern",
            field="correlation",
            found=f"{best:.2f}",
            wanted=f"at least {LEAST_CORRELATION}",
            remedy="record from before the first load until after the last, at 10 samples a second or more",
        )
    return offset
