# SPDX-License-Identifier: Apache-2.0
"""Power over time as a meter recorded it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq_devices.power.meter import GREATEST_WATTS
from edgeq_devices.power.window import Window

Array = NDArray[np.float64]
SUPPLY = "supply"  # the one rail of a meter
TIME, WATTS, VOLTS, AMPERES = "time_s", "power_w", "voltage_v", "current_a"
WANTED = f"{TIME} and {WATTS}, or {TIME}, {VOLTS} and {AMPERES}"


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

    def window(self, start: float, end: float) -> Window:
        """Energy between two times of the meter's clock, by the trapezoidal rule.

        Raises:
            EdgeqError: The recording does not cover them.
        """
        if not self.seconds[0] <= start <= end <= self.seconds[-1]:
            raise EdgeqError(
                "the recording does not cover the measurement",
                field="seconds",
                found=f"{self.seconds[0]:.3f} to {self.seconds[-1]:.3f}",
                wanted=f"{start:.3f} to {end:.3f}",
            )
        inside = (self.seconds > start) & (self.seconds < end)
        times = np.concatenate([[start], self.seconds[inside], [end]])
        joules = float(np.trapezoid(np.interp(times, self.seconds, self.watts), times))
        return Window(end - start, {SUPPLY: joules}, int(inside.sum()))

    def shifted(self, offset: float) -> Recording:
        """The same with ``offset`` seconds added to its clock."""
        return Recording(self.seconds + offset, self.watts)


def read_csv(path: Path) -> Recording:
    """Reads a recording with a header row.

    Raises:
        EdgeqError: A column is missing, a value is not the power of a machine, or the times do not ascend.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return parse_rows(csv.DictReader(file), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EdgeqError("cannot be read as CSV", file=path, found=str(error)) from error


def parse_rows(rows: Iterable[Mapping[str, str]], source: Path) -> Recording:
    """Rows of column names and values to a recording; raises as :func:`read_csv`."""
    samples = []
    for number, row in enumerate(rows, 2):
        try:
            samples.append((float(row[TIME]), power_of(row)))
        except KeyError:
            raise EdgeqError("missing column", file=source, found=", ".join(map(str, row)), wanted=WANTED) from None
        except (TypeError, ValueError):
            found, wanted = str(list(row.values()))[:80], f"numbers, of 0 to {GREATEST_WATTS:g} W"
            raise EdgeqError(
                "not a sample of power", file=source, field=f"line {number}", found=found, wanted=wanted
            ) from None
    return of_samples(samples, source)


def power_of(row: Mapping[str, str]) -> float:
    """Watts of a row.

    Raises:
        KeyError: Neither power nor voltage and current are among its columns.
        ValueError: It is not the power of a machine.
        TypeError: A value is missing.
    """
    watts = float(row[WATTS]) if WATTS in row else float(row[VOLTS]) * float(row[AMPERES])
    if not 0 <= watts <= GREATEST_WATTS:
        raise ValueError(f"{watts:g} W")
    return watts


def of_samples(samples: Sequence[tuple[float, float]], source: Path) -> Recording:
    """Seconds and watts to a recording.

    Raises:
        EdgeqError: The times do not ascend.
    """
    seconds = np.array([time for time, _ in samples])
    if len(seconds) < 2 or not (np.diff(seconds) > 0).all() or not math.isfinite(seconds[0] + seconds[-1]):
        raise EdgeqError("times do not ascend", file=source, field=TIME, wanted="at least two samples in order of time")
    return Recording(seconds, np.array([watts for _, watts in samples]))
