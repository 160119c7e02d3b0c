# SPDX-License-Identifier: Apache-2.0
"""Intel and AMD processors: RAPL energy counters through ``/sys/class/powercap``.

Packages and DRAM are summed. Cores and the graphics part are inside their package, the platform domain (psys) around
it: they are read, never added. ``intel-rapl-mmio`` shows the same packages a second time and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeq_devices.power.source import Description, Missing, Quantity, Rail, read_number
from edgeq_devices.power.unwrap import Unwrapped

NAME = "RAPL (powercap)"
REMEDY = "sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj  (lasts until the next boot; see CVE-2020-8694)"
_COUNTED = ("package", "dram")


@dataclass(frozen=True)
class _Domain:
    rail: Rail
    counter: Path
    range_joules: float


def describe(name: str, rails: tuple[Rail, ...]) -> Description:
    """What the processor's registers count, by whichever interface they are read."""
    return Description(
        name,
        Quantity.ENERGY,
        rails,
        leaves_out="mainboard, storage, network, fans, losses of the power supply",
        uncertainty="not stated by the vendors; a model inside the processor on some generations",
        interval=0.1,
    )


class Rapl:
    """The counters of all domains.

    Args:
        domains: Where they are.
    """

    def __init__(self, domains: tuple[_Domain, ...]) -> None:
        self._domains = domains
        self._counters = {domain.rail.name: Unwrapped(domain.range_joules) for domain in domains}

    @property
    def description(self) -> Description:
        """Packages and memory, as the processor itself accounts for them."""
        return describe(NAME, tuple(domain.rail for domain in self._domains))

    def read(self) -> Mapping[str, float]:
        """Joules since the first reading, by domain, wrap-around removed."""
        return {
            domain.rail.name: self._counters[domain.rail.name].advance(read_number(domain.counter) * 1e-6)
            for domain in self._domains
        }

    def close(self) -> None:
        """Holds nothing open."""


def find(root: Path) -> Iterator[Rapl | Missing]:
    """The counters of this machine, or why they cannot be read."""
    directories = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
    if not directories:
        return
    try:
        yield Rapl(tuple(_domain(directory) for directory in directories))
    except PermissionError:
        yield Missing(NAME, "only root may read the counters", REMEDY)
    except (OSError, ValueError) as error:
        yield Missing(NAME, str(error))


def _domain(directory: Path) -> _Domain:
    name = (directory / "name").read_text().strip()
    counter = directory / "energy_uj"
    read_number(counter)
    counted = name.startswith(_COUNTED)
    # Subdomains are called alike in every package: "dram" of intel-rapl:1:0 becomes "dram:1".
    package = directory.name.split(":")[1]
    label = name if name.startswith("package") or name == "psys" else f"{name}:{package}"
    return _Domain(Rail(label, counted), counter, read_number(directory / "max_energy_range_uj") * 1e-6)
