# SPDX-License-Identifier: Apache-2.0
"""Which power sources this machine has; adding one is a line here and its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgeq_devices.cpu import ROOT
from edgeq_devices.power import battery, hwmon, perf_rapl, rapl, rpi_pmic
from edgeq_devices.power.source import Description, Missing, Rails, Source

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


def choose(readable: Sequence[Source], rails: Rails | None) -> Source:
    """The most trusted source of at least one that tells a total; the most trusted where none does.

    Args:
        readable: The most trusted first.
        rails: What adds up to a total, as the board's description tells.
    """
    described = [(source, describe(source, rails)) for source in readable]
    totals = (source for source, description in described if any(rail.counted for rail in description.rails))
    return next(totals, readable[0])


def describe(source: Source, rails: Rails | None) -> Description:
    """A source's description, with the board's rails where it has them."""
    return rails.applied_to(source.description) if rails else source.description


def why_no_energy(missing: list[Missing]) -> str:
    """What stands in place of the energy columns."""
    if not missing:
        return "no power sensor on this machine"
    return "; ".join(
        f"{entry.name}: {entry.reason}" + (f" ({entry.remedy})" if entry.remedy else "") for entry in missing
    )
