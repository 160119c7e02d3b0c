# SPDX-License-Identifier: Apache-2.0
"""Samples a power source from a thread and integrates what it reports."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Self

from edgeq_devices.background import Background
from edgeq_devices.power.source import Description, Quantity, Rails, Source
from edgeq_devices.power.window import Reading

GREATEST_WATTS = 5000.0
"""More than any machine that edgeq measures draws; larger values are faults of the sensor."""


class Meter(Background):
    """A source, sampled as long as the ``with`` block runs.

    A sensor that vanishes or reports nonsense ends the sampling; readings from then on carry the fault.

    Args:
        source: What to sample; closed at the end.
        rails: What adds up to a total, as the board's description tells.
        interval: Seconds between samples; the source's own if not given.
        clock: Monotonic nanoseconds.
    """

    def __init__(
        self,
        source: Source,
        rails: Rails | None = None,
        interval: float | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        super().__init__()
        self.description: Description = rails.applied_to(source.description) if rails else source.description
        self._source, self._clock = source, clock
        self._interval = interval or self.description.interval
        self._joules = {rail.name: 0.0 for rail in self.description.rails}
        self._last: tuple[int, Mapping[str, float]] | None = None
        self._history: list[Reading] = []
        self._lock = threading.Lock()
        self._fault: str | None = None

    def __enter__(self) -> Self:
        self._sample()
        return super().__enter__()

    def _close(self) -> None:
        self._source.close()

    def read(self) -> Reading:
        """Takes a sample now; the energy up to it."""
        self._sample()
        with self._lock:
            last = self._history[-1] if self._history else Reading(self._clock(), {}, 0)
            return replace(last, fault=self._fault)

    def at(self, time_ns: int) -> Reading:
        """The energy up to a time of the meter's clock, interpolated between the samples around it.

        A time after the last sample takes a new one first.
        """
        if not self._history or time_ns > self._history[-1].time_ns:
            self._sample()
        with self._lock:
            return replace(self._interpolate(time_ns), fault=self._fault)

    def _interpolate(self, time_ns: int) -> Reading:
        index = bisect_left(self._history, time_ns, key=lambda reading: reading.time_ns)
        if 0 < index < len(self._history):
            return self._history[index - 1].towards(self._history[index], time_ns)
        return self._history[0 if index == 0 else -1] if self._history else Reading(time_ns, {}, 0)

    def _run(self) -> None:
        while not self._stop.wait(self._interval) and not self._fault:
            self._sample()

    def _sample(self) -> None:
        with self._lock:
            if self._fault:
                return
            try:
                values = self._source.read()
                now = self._clock()
                self._accumulate(now, values)
            except (OSError, ValueError) as error:
                self._fault = f"{self.description.name} failed: {error}"
                return
            self._last = (now, values)
            self._history.append(Reading(now, dict(self._joules), len(self._history) + 1))

    def _accumulate(self, now: int, values: Mapping[str, float]) -> None:
        if missing := self._joules.keys() - values.keys():
            raise ValueError(f"rails {', '.join(sorted(missing))} have vanished")
        seconds = (now - self._last[0]) * 1e-9 if self._last else 0.0
        for rail, total in self._joules.items():
            value = values[rail]
            if self.description.quantity is Quantity.POWER:
                previous = self._last[1][rail] if self._last else value
                gained, watts = (previous + value) / 2 * seconds, value
            else:
                gained = value - (self._last[1][rail] if self._last else value)
                watts = gained / max(seconds, 0.01)  # counters advance in steps
            if not (math.isfinite(value) and 0 <= watts <= GREATEST_WATTS):
                raise ValueError(f"{rail}: found {watts:g} W, wanted 0 to {GREATEST_WATTS:g}")
            self._joules[rail] = total + gained
