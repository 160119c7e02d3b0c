# SPDX-License-Identifier: Apache-2.0
"""Watches a machine during a run: temperatures, clocks, memory of the measured process, swapping."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from edgeq_devices.conditions import read_frequencies, read_temperatures
from edgeq_devices.cpu import ROOT

INTERVAL = 0.25
MOST_SAMPLES = 2000
TRIP_MARGIN = 5.0  # degrees below a trip point at which a run is no longer trusted


@dataclass
class Extremes:
    """What was seen over a run.

    Attributes:
        temperatures: Highest by zone, in degrees Celsius.
        margins: Least distance to five degrees below the zone's first trip point; zones without one are left out.
        fastest: Highest clock by frequency domain, in kHz.
        slowest: Lowest clock since the highest was reached.
        pages_swapped_in: By the whole machine; ``None`` where the kernel does not tell.
    """

    temperatures: dict[str, float] = field(default_factory=dict)
    margins: dict[str, float] = field(default_factory=dict)
    fastest: dict[str, int] = field(default_factory=dict)
    slowest: dict[str, int] = field(default_factory=dict)
    pages_swapped_in: int | None = None


@dataclass
class Series:
    """What was seen over time.

    Attributes:
        time_ns: Of each sample, on the machine's monotonic clock.
        temperature: Of the hottest zone, in degrees Celsius; ``None`` where no zone is readable.
        clock: Lowest of all frequency domains, in kHz; ``None`` where the kernel does not tell.
    """

    time_ns: list[int] = field(default_factory=list)
    temperature: list[float | None] = field(default_factory=list)
    clock: list[int | None] = field(default_factory=list)


class Monitor:
    """Samples from a thread between `start` and `stop`.

    Args:
        root: Where the machine's files lie.
        interval: Seconds between samples.
        processors: Those that the measured process runs on, whose clocks matter; empty for all.

    Attributes:
        extremes: What was seen.
        series: The same over time.
    """

    def __init__(self, root: Path = ROOT, interval: float = INTERVAL, processors: frozenset[int] = frozenset()) -> None:
        self._processors = processors
        self.extremes, self.series = Extremes(), Series()
        self._root, self._interval = root, interval
        self._trips = read_trip_points(root)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._swapped: int | None = None

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begins to sample."""
        self._swapped = read_pages_swapped_in(self._root)
        self._sample()
        self._thread.start()

    def stop(self) -> None:
        """Ends it, if it has begun."""
        if not self._thread.is_alive():
            return
        self._stop.set()
        self._thread.join()
        swapped = read_pages_swapped_in(self._root)
        if swapped is not None and self._swapped is not None:
            self.extremes.pages_swapped_in = swapped - self._swapped

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        seen = self.extremes
        temperatures, domains = read_temperatures(self._root), read_frequencies(self._root)
        self.series.time_ns.append(time.monotonic_ns())
        self.series.temperature.append(max(temperatures.values(), default=None))
        self.series.clock.append(min((domain.current for domain in domains if domain.current), default=None))
        for zone, degrees in temperatures.items():
            seen.temperatures[zone] = max(seen.temperatures.get(zone, degrees), degrees)
            if zone in self._trips:
                margin = self._trips[zone] - TRIP_MARGIN - degrees
                seen.margins[zone] = min(seen.margins.get(zone, margin), margin)
        for domain in domains:
            if self._processors and domain.processors and self._processors.isdisjoint(domain.processors):
                continue  # idle cores slow down as they should
            clock, name = domain.current, domain.policy
            if clock is not None and clock > seen.fastest.get(name, 0):
                seen.fastest[name] = seen.slowest[name] = clock
            elif clock is not None and name in seen.slowest:
                seen.slowest[name] = min(seen.slowest[name], clock)


def read_trip_points(root: Path = ROOT) -> dict[str, float]:
    """Lowest temperature in degrees Celsius at which each zone makes the machine slow down, keyed as the zones are."""
    trips: dict[str, float] = {}
    for path in sorted((root / "sys/class/thermal").glob("thermal_zone*/trip_point_*_type")):
        try:
            kind = path.read_text().strip()
            degrees = int(path.with_name(path.name.replace("_type", "_temp")).read_text()) / 1000
            zone = f"{path.parent.name}:{(path.parent / 'type').read_text().strip()}"
        except (OSError, ValueError):
            continue
        if kind in ("passive", "hot", "critical") and degrees > 0:
            trips[zone] = min(trips.get(zone, degrees), degrees)
    return trips


def read_pages_swapped_in(root: Path = ROOT) -> int | None:
    """Pages that the machine has read back from swap since boot."""
    try:
        lines = (root / "proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("pswpin ")), None)
