# SPDX-License-Identifier: Apache-2.0
"""What a board says about itself."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any, Literal

from edgeq_devices.agent import PROTOCOL
from edgeq_devices.conditions import library_versions, read_meminfo
from edgeq_devices.cpu import ROOT, read_cpu
from edgeq_devices.power.detect import find_sources
from edgeq_devices.power.source import Description
from edgeq_devices.throttle import read_throttling

LIBRARIES = ("onnxruntime", "numpy")
ELF_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
OPERATORS = "bundles/operators/libedgeq_ops.so"


def describe(directory: Path, root: Path = ROOT) -> dict[str, Any]:
    """System, libraries, memory, power sensors and throttling reports of this machine.

    Args:
        directory: edgeq's directory there; its disk's free space is told.
        root: Where the machine's files lie.
    """
    readable, missing = find_sources(root)
    cpu = read_cpu(root)
    return {
        "protocol": PROTOCOL,
        "system": "Android" if (root / "system/build.prop").exists() else platform.system(),
        "machine": platform.machine(),
        "program_machine": program_machine(root),
        "model": _device_tree(root),
        "cpu": cpu.model,
        "features": sorted(cpu.features),
        "cores": physical_cores(root),
        "clusters": clusters(root),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "python": platform.python_version(),
        "libraries": library_versions(LIBRARIES),
        "memory": read_meminfo(root).get("MemTotal"),
        "disk_free": shutil.disk_usage(directory).free,
        "power": [_source(source.description) for source in readable],
        "missing_power": [{"name": entry.name, "reason": entry.reason, "remedy": entry.remedy} for entry in missing],
        "throttling": list(read_throttling(root).sources),
        "operators": _operators(directory),
    }


def _operators(directory: Path) -> str | None:
    """The library that ``edgeq devices setup`` left here."""
    path = directory / OPERATORS
    return str(path.resolve()) if path.is_file() else None


def program_machine(root: Path = ROOT) -> str | None:
    """Machine of the program that the kernel runs as this process: where there is an emulator, the emulator's.

    Emulators answer for ``/proc/self``, but not for ``/proc/thread-self``.
    """
    try:
        with (root / "proc/thread-self/exe").open("rb") as program:
            header = program.read(20)
    except OSError:
        return None
    order: Literal["big", "little"] = "big" if header[5:6] == b"\x02" else "little"
    return ELF_MACHINES.get(int.from_bytes(header[18:20], order)) if header[:4] == b"\x7fELF" else None


def physical_cores(root: Path = ROOT) -> int:
    """Cores of the machine; two threads of one core count once."""
    siblings = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    cores = {path.read_text().strip() for path in siblings}
    return len(cores) or os.cpu_count() or 1


def clusters(root: Path = ROOT) -> dict[str, list[int]]:
    """Processors by kind of core, as the capacity that the kernel gives them tells; empty where all are alike.

    The kernel's names for them differ; here the slowest are ``little``, the fastest ``big``, others ``middle``.
    """
    found: dict[int, list[int]] = {}
    for directory in (root / "sys/devices/system/cpu").glob("cpu[0-9]*"):
        try:
            rank = int((directory / "cpu_capacity").read_text())
        except (OSError, ValueError):
            return {}
        found.setdefault(rank, []).append(int(directory.name.removeprefix("cpu")))
    if len(found) < 2:
        return {}
    slowest, *others, fastest = (sorted(found[rank]) for rank in sorted(found))
    middle = sorted(number for cluster in others for number in cluster)
    return {"little": slowest, **({"middle": middle} if middle else {}), "big": fastest}


def _device_tree(root: Path) -> str | None:
    try:
        return (root / "proc/device-tree/model").read_text().rstrip("\0\n") or None
    except OSError:
        return None


def _source(description: Description) -> dict[str, Any]:
    return {
        "name": description.name,
        "rails": [{"name": rail.name, "counted": rail.counted} for rail in description.rails],
        "leaves_out": description.leaves_out,
        "uncertainty": description.uncertainty,
        "rate": 1 / description.interval,
    }
