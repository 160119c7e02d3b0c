# SPDX-License-Identifier: Apache-2.0
"""Which power sources this machine has; adding one is a line here and its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from edgeq_devices.cpu import ROOT
from edgeq_devices.power import battery, hwmon, perf_rapl, rapl, rpi_pmic
from edgeq_devices.power.source import Missing, Source

# In order of trust: shunts, then the chips' own accounts, then the battery.
FINDERS: tuple[Callable[[Path], Iterator[Source | Missing]], ...] = (
    hwmon.find,
    rapl.find,
    perf_rapl.find,
    rpi_pmic.find,
    battery.find,
)


def find_sources(root: Path = ROOT) -> tuple[list[Source], list[Missing]]:
    """Sources that can be read, the most trusted first, and those that exist and cannot."""
    readable: list[Source] = []
    missing: list[Missing] = []
    for find in FINDERS:
        for found in find(root):
            if isinstance(found, Missing):
                missing.append(found)
            else:
                readable.append(found)
    return readable, missing


def why_no_energy(missing: list[Missing]) -> str:
    """What stands in place of the energy columns."""
    if not missing:
        return "no power sensor on this machine"
    return "; ".join(
        f"{entry.name}: {entry.reason}" + (f" ({entry.remedy})" if entry.remedy else "") for entry in missing
    )
