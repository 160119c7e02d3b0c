# SPDX-License-Identifier: Apache-2.0
"""Watches a machine during a run: temperatures, clocks, memory of the measured process, swapping."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from edgeq_devices.conditions import read_frequencies, read_temperatures
from edgeq_devices.cpu import ROOT

INTERVAL = 0.25


@dataclass
class Extremes:
    """What was seen over a run.

    Attributes:
        temperatures: Highest by zone, in degrees Celsius.
        slowest: Lowest clock by frequency domain, in kHz.
        fastest: Highest.
        pages_swapped_in: By the whole machine; ``None`` where the kernel does not tell.
    """

    temperatures: dict[str, float] = field(default_factory=dict)
    slowest: dict[str, int] = field(default_factory=dict)
    fastest: dict[str, int] = field(default_factory=dict)
    pages_swapped_in: int | None = None


class Monitor:
    """Samples from a thread while the ``with`` block runs.

    Attributes:
        extremes: What was seen; complete after the block.
    """

    def __init__(self, root: Path = ROOT, interval: float = INTERVAL) -> None:
        self.extremes = Extremes()
        self._root, self._interval = root, interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._swapped = read_pages_swapped_in(root)

    def __enter__(self) -> Monitor:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        swapped = read_pages_swapped_in(self._root)
        if swapped is not None and self._swapped is not None:
            self.extremes.pages_swapped_in = swapped - self._swapped

    def _run(self) -> None:
        self._sample()
        while not self._stop.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        seen = self.extremes
        for zone, degrees in read_temperatures(self._root).items():
            seen.temperatures[zone] = max(seen.temperatures.get(zone, degrees), degrees)
        for domain in read_frequencies(self._root):
            if domain.current is not None:
                seen.slowest[domain.policy] = min(seen.slowest.get(domain.policy, domain.current), domain.current)
                seen.fastest[domain.policy] = max(seen.fastest.get(domain.policy, domain.current), domain.current)


def read_pages_swapped_in(root: Path = ROOT) -> int | None:
    """Pages that the machine has read back from swap since boot."""
    try:
        lines = (root / "proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("pswpin ")), None)
