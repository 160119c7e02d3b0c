# SPDX-License-Identifier: Apache-2.0
"""Resident memory of a process, anonymous and file-backed apart, from ``/proc``. Standard library only.

Anonymous pages (heap, KV cache, repacked weights) are what a board runs out of; file-backed pages (a memory-mapped
model, libraries) can be dropped and read again. The kernel keeps a high-water mark only for their sum (``VmHWM``), so
the two peaks are sampled.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from edgeq_devices.background import Background

_FIELDS = {"RssAnon": "anonymous", "RssFile": "file_backed", "RssShmem": "shared", "VmHWM": "peak"}


@dataclass(frozen=True)
class Memory:
    """Resident bytes of a process.

    Attributes:
        anonymous: Heap and other private pages without a file behind them (``RssAnon``).
        file_backed: Pages of mapped files (``RssFile``).
        shared: Shared memory (``RssShmem``).
        peak: The kernel's high-water mark of the sum of the three (``VmHWM``).
    """

    anonymous: int
    file_backed: int
    shared: int
    peak: int

    def maximum(self, other: Memory) -> Memory:
        """The larger of each field."""
        mine, theirs = asdict(self), asdict(other)
        return Memory(**{name: max(mine[name], theirs[name]) for name in mine})


def parse_status(text: str) -> Memory:
    """Reads the text of ``/proc/PID/status``.

    Raises:
        ValueError: A field is missing, as in the status of a process that has ended or on a kernel before 4.5.
    """
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name in _FIELDS:
            found[_FIELDS[name]] = int(value.split()[0]) * 1024
    missing = [name for name, field in _FIELDS.items() if field not in found]
    if missing:
        raise ValueError(f"no {', '.join(missing)} in /proc/PID/status")
    return Memory(**found)


def read_memory(process: int | str = "self") -> Memory:
    """Resident memory of a process now.

    Raises:
        OSError: There is no such process.
        ValueError: It has ended, or the kernel does not tell.
    """
    return parse_status(Path(f"/proc/{process}/status").read_text())


class PeakSampler(Background):
    """Samples another process's memory from a thread while the ``with`` block runs, without disturbing it.

    Attributes:
        peak: The largest value of each field seen; ``None`` before the first sample.
    """

    def __init__(self, process: int, interval: float = 0.02) -> None:
        super().__init__()
        self.peak: Memory | None = None
        self._process, self._interval = process, interval

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                sample = read_memory(self._process)
            except (OSError, ValueError):
                return  # the process has ended
            self.peak = sample.maximum(self.peak) if self.peak else sample
            self._stop.wait(self._interval)
