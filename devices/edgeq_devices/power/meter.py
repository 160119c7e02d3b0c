# SPDX-License-Identifier: Apache-2.0
"""Samples a power source from a thread and integrates what it reports."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from edgeq_devices.power.source import Description, Quantity, Source
from edgeq_devices.power.window import Reading

GREATEST_WATTS = 5000.0
"""More than any machine that edgeq measures draws; larger values are faults of the sensor."""


class Meter:
    """A source, sampled as long as the ``with`` block runs.

    A sensor that vanishes or reports nonsense ends the sampling; readings from then on carry the fault.

    Args:
        source: What to sample; closed at the end.
        interval: Seconds between samples; the source's own if not given.
        clock: Monotonic nanoseconds.
    """

    def __init__(
        self, source: Source, interval: float | None = None, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.description: Description = source.description
        self._source, self._clock = source, clock
        self._interval = interval or self.description.interval
        self._joules = {rail.name: 0.0 for rail in self.description.rails}
        self._last: tuple[int, Mapping[str, float]] | None = None
        self._samples = 0
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Meter:
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._source.close()

    def read(self) -> Reading:
        """Takes a sample now; the energy up to it."""
        self._sample()
        with self._lock:
            assert self._last is not None or self._fault
            now = self._last[0] if self._last else self._clock()
            return Reading(now, dict(self._joules), self._samples, self._fault)

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
            self._samples += 1

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
                watts = gained / seconds if seconds > 0.01 else 0.0
            if not (math.isfinite(value) and 0 <= watts <= GREATEST_WATTS):
                raise ValueError(f"{rail}: found {watts:g} W, wanted 0 to {GREATEST_WATTS:g}")
            self._joules[rail] = total + gained
