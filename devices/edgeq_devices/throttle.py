# SPDX-License-Identifier: Apache-2.0
"""Whether a machine slowed itself down: read before and after, what is new in between counts. Standard library only."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgeq_devices.cpu import ROOT

VCGENCMD = ("vcgencmd", "get_throttled")
_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_SINCE_BOOT = 16  # the same conditions, sticky


@dataclass(frozen=True)
class Throttling:
    """What the machine reports.

    Attributes:
        sources: Interfaces that report throttling; empty where there is none.
        active: Conditions that hold now.
        events: Counts since boot by condition; of a sticky flag 1 if it is set.
    """

    sources: tuple[str, ...] = ()
    active: frozenset[str] = frozenset()
    events: dict[str, int] = field(default_factory=dict)

    def since(self, earlier: Throttling) -> list[str] | None:
        """Conditions that held at either end or arose in between; ``None`` where nothing reports them."""
        if not self.sources:
            return None
        new = {name for name, count in self.events.items() if count > earlier.events.get(name, 0)}
        return sorted(self.active | earlier.active | new)


def parse_get_throttled(text: str) -> Throttling:
    """Reads ``throttled=0x50005`` of the Raspberry Pi's firmware.

    Raises:
        ValueError: It is something else.
    """
    name, _, value = text.strip().partition("=")
    if name != "throttled":
        raise ValueError(f"vcgencmd get_throttled: found {text[:40]!r}, wanted throttled=0x…")
    bits = int(value, 16)
    return Throttling(
        ("vcgencmd",),
        frozenset(condition for bit, condition in _NOW.items() if bits >> bit & 1),
        {condition: bits >> bit + _SINCE_BOOT & 1 for bit, condition in _NOW.items()},
    )


def _run_vcgencmd() -> str | None:
    if shutil.which(VCGENCMD[0]) is None:
        return None
    try:
        return subprocess.run(VCGENCMD, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def read_throttling(root: Path = ROOT, vcgencmd: Callable[[], str | None] = _run_vcgencmd) -> Throttling:
    """The state now, from every interface of this machine."""
    found = [*_firmware(vcgencmd), *_x86(root), *_jetson(root), *_cooling(root)]
    return Throttling(
        tuple(source for state in found for source in state.sources),
        frozenset().union(*(state.active for state in found)),
        {name: count for state in found for name, count in state.events.items()},
    )


def _firmware(vcgencmd: Callable[[], str | None]) -> list[Throttling]:
    text = vcgencmd()
    try:
        return [] if text is None else [parse_get_throttled(text)]
    except ValueError:
        return []


def _x86(root: Path) -> list[Throttling]:
    """Packages and cores count how often they reached their thermal limit."""
    counters = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
    events: dict[str, int] = {}
    for path in counters:
        kind = path.name.removesuffix("_throttle_count")
        name = f"{kind} thermal limit"
        count = _count(path)
        # All processors of a package show its counter; those of the cores differ.
        events[name] = max(events.get(name, 0), count) if kind == "package" else events.get(name, 0) + count
    return [Throttling(("thermal_throttle",), events=events)] if counters else []


def _jetson(root: Path) -> list[Throttling]:
    """Over-current events of the Tegra's ``soctherm_oc`` sensor."""
    counters = sorted((root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt"))
    events = {f"over-current {path.name.split('_')[0].removeprefix('oc')}": _count(path) for path in counters}
    return [Throttling(("soctherm_oc",), events=events)] if counters else []


def _cooling(root: Path) -> list[Throttling]:
    """Cooling by lower clocks, as the kernel's thermal governor applies it on most ARM boards."""
    devices = [
        device
        for device in sorted((root / "sys/class/thermal").glob("cooling_device*"))
        if _text(device / "type").startswith(("thermal-cpufreq", "cpufreq", "Processor"))
    ]
    active = {f"{_text(device / 'type')} cooling" for device in devices if _count(device / "cur_state")}
    return [Throttling(("thermal cooling",), frozenset(active))] if devices else []


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _count(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdecimal() else 0
