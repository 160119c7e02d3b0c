# SPDX-License-Identifier: Apache-2.0
"""The conditions under which a number was measured. Standard library only.

What cannot be read is ``None`` and is printed as unknown; nothing is assumed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from edgeq_devices.cpu import ROOT, read_cpu

_PROCESSORS = "sys/devices/system/cpu"
_POLICIES = f"{_PROCESSORS}/cpufreq"
_NVPMODEL = ("nvpmodel", "-q")
_VERSIONED = ("edgeq", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Frequency:
    """One frequency domain, on most boards a cluster: its governor, clock in kHz, and processors."""

    policy: str
    governor: str | None
    current: int | None
    minimum: int | None
    maximum: int | None
    processors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Conditions:
    """State of the machine at the start of a run.

    Attributes:
        time: UTC, ISO 8601.
        system: Kernel name, release and machine.
        cpu: Processor model.
        processors: Logical processors of the machine.
        affinity: Processors that this process may use.
        isolated: Processors that the kernel schedules nothing on by itself (``isolcpus``).
        offline: Processors that are switched off, as some power modes do.
        power_mode: As the board names it.
        frequencies: One per frequency domain (cluster); empty where the kernel shows none, as in most virtual machines.
        temperatures: Degrees Celsius by thermal zone.
        load_average: Over 1, 5 and 15 minutes.
        memory_total: Bytes.
        memory_available: Bytes.
        swap_used: Bytes.
        versions: Of the libraries that run the model.
    """

    time: str
    system: str
    cpu: str | None
    processors: int | None
    affinity: list[int]
    frequencies: list[Frequency]
    temperatures: dict[str, float]
    load_average: list[float] | None
    memory_total: int | None
    memory_available: int | None
    swap_used: int | None
    versions: dict[str, str]
    isolated: tuple[int, ...] = ()
    offline: tuple[int, ...] = ()
    power_mode: str | None = None

    @property
    def governor(self) -> str | None:
        """The governor, or all that differ, separated by ``/``."""
        names = {frequency.governor for frequency in self.frequencies if frequency.governor}
        return "/".join(sorted(names)) or None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _integer(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.lstrip("-").isdigit() else None


def run_nvpmodel() -> str | None:
    """What ``nvpmodel -q`` prints; ``None`` where there is none (anything but a Jetson)."""
    if shutil.which(_NVPMODEL[0]) is None:
        return None
    try:
        return subprocess.run(_NVPMODEL, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def read_frequencies(root: Path = ROOT) -> list[Frequency]:
    """Governor and clocks of every frequency domain."""
    return [
        Frequency(
            policy.name,
            _text(policy / "scaling_governor"),
            _integer(policy / "scaling_cur_freq"),
            _integer(policy / "scaling_min_freq"),
            _integer(policy / "scaling_max_freq"),
            parse_processors((_text(policy / "related_cpus") or "").replace(" ", ",")),
        )
        for policy in sorted((root / _POLICIES).glob("policy*"))
    ]


def parse_processors(text: str) -> tuple[int, ...]:
    """Linux's list of processors, such as ``0-3,6``; empty for anything else."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            return ()
        if len(first) > 4 or len(last) > 4:
            return ()
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)


def processor_ranges(processors: Sequence[int]) -> str:
    """``0-3,6`` for 0, 1, 2, 3 and 6."""
    runs: list[list[int]] = []
    for number in sorted(processors):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def read_power_mode(root: Path = ROOT, run: Callable[[], str | None] = run_nvpmodel) -> str | None:
    """The power mode: of a Jetson as nvpmodel names it, else the firmware's platform profile; ``None`` without one."""
    lines = (run() or "").splitlines()
    modes = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("nv power mode")]
    return (modes[0] if modes else None) or _text(root / "sys/firmware/acpi/platform_profile")


def read_temperatures(root: Path = ROOT) -> dict[str, float]:
    """Degrees Celsius of every thermal zone, keyed ``zone:type``."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        millidegrees = _integer(zone / "temp")
        if millidegrees is not None:
            found[f"{zone.name}:{_text(zone / 'type') or 'unknown'}"] = millidegrees / 1000
    return found


def parse_meminfo(text: str) -> dict[str, int]:
    """Bytes by field of ``/proc/meminfo``."""
    lines = (line.partition(":") for line in text.splitlines())
    return {name: int(value.split()[0]) * 1024 for name, _, value in lines if value.strip().endswith("kB")}


def read_meminfo(root: Path = ROOT) -> dict[str, int]:
    """Bytes by field; empty where the kernel hides them."""
    return parse_meminfo(_text(root / "proc/meminfo") or "")


def read_load_average(root: Path = ROOT) -> list[float] | None:
    """Load averages over 1, 5 and 15 minutes."""
    text = _text(root / "proc/loadavg")
    return [float(value) for value in text.split()[:3]] if text else None


def library_versions(names: tuple[str, ...] = _VERSIONED) -> dict[str, str]:
    """Versions of installed distributions; those not installed are left out."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def read_conditions(root: Path = ROOT) -> Conditions:
    """The machine's state now."""
    memory: Mapping[str, int] = read_meminfo(root)
    swap = (memory.get("SwapTotal"), memory.get("SwapFree"))
    return Conditions(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=read_cpu(root).model,
        processors=os.cpu_count(),
        affinity=sorted(os.sched_getaffinity(0)),
        frequencies=read_frequencies(root),
        temperatures=read_temperatures(root),
        load_average=read_load_average(root),
        memory_total=memory.get("MemTotal"),
        memory_available=memory.get("MemAvailable"),
        swap_used=swap[0] - swap[1] if swap[0] is not None and swap[1] is not None else None,
        versions={"python": platform.python_version(), **library_versions()},
        isolated=parse_processors(_text(root / _PROCESSORS / "isolated") or ""),
        offline=parse_processors(_text(root / _PROCESSORS / "offline") or ""),
        power_mode=read_power_mode(root),
    )
