# SPDX-License-Identifier: Apache-2.0
"""Energy as readings that subtract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgeq_devices.power.source import Description

LEAST_SAMPLES = 5
"""Samples that a window needs before its energy is believed."""


@dataclass(frozen=True)
class Reading:
    """The state of a meter at a time.

    Attributes:
        time_ns: Monotonic clock.
        joules: Since the meter was opened, by rail.
        samples: Taken since then.
        fault: Why the values from some time on are not to be believed; ``None`` if they are.
    """

    time_ns: int
    joules: Mapping[str, float]
    samples: int
    fault: str | None = None

    def towards(self, later: Reading, time_ns: int) -> Reading:
        """The reading at a time between this one and a later one, power taken as constant in between."""
        share = (time_ns - self.time_ns) / (later.time_ns - self.time_ns)
        joules = {rail: start + share * (later.joules[rail] - start) for rail, start in self.joules.items()}
        return Reading(time_ns, joules, self.samples)

    def __sub__(self, earlier: Reading) -> Window:
        return Window(
            seconds=(self.time_ns - earlier.time_ns) * 1e-9,
            joules={rail: joules - earlier.joules.get(rail, 0.0) for rail, joules in self.joules.items()},
            samples=self.samples - earlier.samples,
            fault=self.fault,
        )


@dataclass(frozen=True)
class Window:
    """Energy between two readings.

    Attributes:
        seconds: Between them.
        joules: By rail.
        samples: Taken in between.
        fault: As in :class:`Reading`.
    """

    seconds: float
    joules: Mapping[str, float]
    samples: int
    fault: str | None = None

    @property
    def rate(self) -> float:
        """Samples per second that were achieved."""
        return self.samples / self.seconds if self.seconds > 0 else math.nan

    @property
    def is_short(self) -> bool:
        """Whether it has too few samples."""
        return not self.fault and self.samples < LEAST_SAMPLES

    def flags(self) -> list[str]:
        """Reasons to distrust the energy."""
        if self.fault:
            return [self.fault]
        if self.is_short:
            return [f"{self.samples} power samples in {self.seconds:.2f} s, wanted at least {LEAST_SAMPLES}"]
        if not any(self.joules.values()):
            return [f"the power sensor stands still: no energy in {self.seconds:.2f} s"]
        return []

    def total(self, description: Description) -> float | None:
        """Joules of the rails that count; ``None`` if none is known to."""
        counted = [rail.name for rail in description.rails if rail.counted]
        return sum(self.joules[name] for name in counted) if counted else None


def net_joules(window: Window, idle: Window, description: Description) -> float | None:
    """Energy above what the idle machine would have drawn in the same time."""
    gross, base = window.total(description), idle.total(description)
    if gross is None or base is None or idle.seconds <= 0:
        return None
    return gross - base / idle.seconds * window.seconds
