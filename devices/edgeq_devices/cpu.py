# SPDX-License-Identifier: Apache-2.0
"""The processor: model, instruction-set features, cores, and who used them. Standard library only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
_MODEL_KEYS = ("model name", "Model", "Hardware", "Processor", "cpu model")
_FEATURE_KEYS = ("flags", "Features")


@dataclass(frozen=True)
class Cpu:
    """What ``/proc/cpuinfo`` says; ``model`` is ``None`` where it says nothing."""

    model: str | None
    features: frozenset[str]


def parse_cpuinfo(text: str) -> Cpu:
    """Reads ``/proc/cpuinfo`` of x86 or ARM; the features are those that every core has."""
    model: dict[str, str] = {}
    features: list[frozenset[str]] = []
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key in _MODEL_KEYS and value:
            model.setdefault(key, value)
        elif key in _FEATURE_KEYS:
            features.append(frozenset(value.split()))
    name = next((model[key] for key in _MODEL_KEYS if key in model), None)
    return Cpu(name, frozenset.intersection(*features) if features else frozenset())


def read_cpu(root: Path = ROOT) -> Cpu:
    """The processor of this machine."""
    try:
        return parse_cpuinfo((root / "proc/cpuinfo").read_text())
    except OSError:
        return Cpu(None, frozenset())


@dataclass(frozen=True)
class CpuTime:
    """Seconds of processor time; differences tell who was busy in between.

    Attributes:
        busy: Used by everybody, over all processors, including what a hypervisor took (steal).
        own: Used by this process and its waited-for children.
    """

    busy: float
    own: float

    def __sub__(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(self.busy - earlier.busy, self.own - earlier.own)

    @property
    def others(self) -> float:
        """Used by anybody else."""
        return max(0.0, self.busy - self.own)


def parse_busy_ticks(text: str) -> int:
    """Busy clock ticks from the first line of ``/proc/stat``: user, nice, system, irq, softirq and steal."""
    fields = [int(field) for field in text.splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return user + nice + system + irq + softirq + steal


def read_cpu_time(root: Path = ROOT) -> CpuTime | None:
    """Processor time so far; ``None`` where the kernel hides it (Android)."""
    own = os.times()
    try:
        ticks = parse_busy_ticks((root / "proc/stat").read_text())
    except (OSError, ValueError, IndexError):
        return None
    return CpuTime(ticks / os.sysconf("SC_CLK_TCK"), own.user + own.system + own.children_user + own.children_system)
