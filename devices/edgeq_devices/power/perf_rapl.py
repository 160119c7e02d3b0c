# SPDX-License-Identifier: Apache-2.0
"""RAPL through the perf subsystem: for machines that let users count events but not read ``/sys/class/powercap``."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeq_devices.power.rapl import describe
from edgeq_devices.power.source import Description, Missing, Rail

NAME = "RAPL (perf)"
REMEDY = "sudo sysctl kernel.perf_event_paranoid=0"
_SYSCALL = {"x86_64": 298}
_COUNTED = ("energy-pkg", "energy-ram")
_ATTRIBUTE_BYTES = 64  # PERF_ATTR_SIZE_VER0


@dataclass(frozen=True)
class _Event:
    name: str
    config: int
    joules_per_count: float


@dataclass(frozen=True)
class _Counter:
    rail: Rail
    descriptor: int
    joules_per_count: float


Open = Callable[[int, int, int], int]
"""Type, configuration and processor of an event to the file descriptor of its counter."""


def open_event(kind: int, config: int, processor: int) -> int:
    """Opens a system-wide counter on a processor with ``perf_event_open``.

    Raises:
        OSError: The kernel refuses; ``PermissionError`` where perf_event_paranoid forbids it.
    """
    attribute = struct.pack("=IIQ", kind, _ATTRIBUTE_BYTES, config).ljust(_ATTRIBUTE_BYTES, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.syscall(
        ctypes.c_long(_SYSCALL[platform.machine()]), attribute, -1, processor, -1, ctypes.c_ulong(0)
    )
    if descriptor < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return descriptor


class PerfRapl:
    """Counters of every package; 64 bits wide, they do not wrap.

    Args:
        counters: What was opened.
    """

    def __init__(self, counters: tuple[_Counter, ...]) -> None:
        self._counters = counters

    @property
    def description(self) -> Description:
        """As of the powercap interface: the same registers."""
        return describe(NAME, tuple(counter.rail for counter in self._counters))

    def read(self) -> Mapping[str, float]:
        """Joules since the counters were opened, by domain."""
        return {
            counter.rail.name: struct.unpack("=Q", os.read(counter.descriptor, 8))[0] * counter.joules_per_count
            for counter in self._counters
        }

    def close(self) -> None:
        """Closes the counters."""
        for counter in self._counters:
            os.close(counter.descriptor)


def find(root: Path, opener: Open = open_event) -> Iterator[PerfRapl | Missing]:
    """The counters of this machine, or why they cannot be opened."""
    device = root / "sys/bus/event_source/devices/power"
    if not device.is_dir() or platform.machine() not in _SYSCALL:
        return
    opened: list[_Counter] = []
    try:
        kind, processors = int((device / "type").read_text()), _processors((device / "cpumask").read_text())
        for event in _events(device):
            for package, processor in enumerate(processors):
                rail = Rail(f"{event.name}:{package}", event.name in _COUNTED)
                opened.append(_Counter(rail, opener(kind, event.config, processor), event.joules_per_count))
    except PermissionError:
        yield _refused(opened, "the kernel lets only root count system-wide events", REMEDY)
    except (OSError, ValueError) as error:
        yield _refused(opened, str(error))
    else:
        yield PerfRapl(tuple(opened))


def _refused(opened: list[_Counter], reason: str, remedy: str | None = None) -> Missing:
    PerfRapl(tuple(opened)).close()
    return Missing(NAME, reason, remedy)


def _events(device: Path) -> Iterator[_Event]:
    for path in sorted((device / "events").glob("energy-*")):
        if path.suffix:
            continue  # .scale and .unit
        config = path.read_text().strip().removeprefix("event=")
        if (path.parent / f"{path.name}.unit").read_text().strip() != "Joules":
            raise ValueError(f"{path}.unit: wanted Joules")
        yield _Event(path.name, int(config, 16), float((path.parent / f"{path.name}.scale").read_text()))


def _processors(mask: str) -> list[int]:
    """One processor for each package: ``0,16`` or ``0-1``."""
    found: list[int] = []
    for part in mask.strip().split(","):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found
