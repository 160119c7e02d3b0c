# SPDX-License-Identifier: Apache-2.0
"""Current sensors of the kernel's hwmon class: INA219, INA226, INA3221 (Jetson) and whatever reports power there.

Devices are found by their name: the numbers of hwmon directories change from boot to boot.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgeq_devices.power.source import Description, Missing, Quantity, Rail, read_number

# Sensor chips by their driver's name, with the error of their data sheets (without the shunt's own tolerance).
CHIPS = {
    "ina219": "0.5 % of the current, plus the shunt's tolerance",
    "ina220": "0.5 % of the current, plus the shunt's tolerance",
    "ina226": "0.1 % of the current, plus the shunt's tolerance",
    "ina230": "0.5 % of the current, plus the shunt's tolerance",
    "ina231": "0.5 % of the current, plus the shunt's tolerance",
    "ina238": "0.1 % of the current, plus the shunt's tolerance",
    "ina3221": "0.25 % of the shunt voltage, plus the shunt's tolerance",
    "power_meter": "as the maker of the machine states it (ACPI)",
}
# Rails that carry the whole module; what else the chip shows is behind them.
TOTAL_RAILS = ("VDD_IN", "POM_5V_IN", "5V_IN")
OFFSET_WATTS = 0.5  # of an amplifier: where nothing flows, it shows a little of either sign


@dataclass(frozen=True)
class _Channel:
    """A supply: its power is one file in µW, or the product of two in mV and mA."""

    label: str
    files: tuple[Path, ...]

    def watts(self) -> float:
        watts = math.prod(read_number(path) for path in self.files) * 1e-6
        return 0.0 if -OFFSET_WATTS < watts < 0 else watts

    def is_on(self) -> bool:
        """Whether it is measured: the kernel has no data of a channel that is switched off."""
        try:
            self.watts()
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
            return False
        return True


class Hwmon:
    """The sensor chips of one driver: a board spreads its rails over several.

    Args:
        name: Driver's name.
        channels: Its measured supplies.
    """

    def __init__(self, name: str, channels: tuple[_Channel, ...]) -> None:
        self._name, self._channels = name, channels

    @property
    def description(self) -> Description:
        """Its rails; a rail that feeds all others is the total, and a single rail is."""
        labels = [channel.label for channel in self._channels]
        totals = [label for label in labels if label in TOTAL_RAILS] or (labels if len(labels) == 1 else [])
        return Description(
            f"hwmon {self._name}",
            Quantity.POWER,
            tuple(Rail(label, label in totals) for label in labels),
            leaves_out="everything that is not behind the shunts, which only the board's schematic tells",
            uncertainty=CHIPS[self._name],
            interval=0.02,
        )

    def read(self) -> Mapping[str, float]:
        """Watts by rail."""
        return {channel.label: channel.watts() for channel in self._channels}

    def close(self) -> None:
        """Holds nothing open."""


def find(root: Path) -> Iterator[Hwmon | Missing]:
    """The sensor chips of this machine, one source for all chips of a driver."""
    found: dict[str, list[_Channel]] = {}
    for directory in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        try:
            name = (directory / "name").read_text().strip()
        except OSError:
            continue
        if name not in CHIPS:
            continue
        try:
            channels = tuple(channel for channel in _channels(directory) if channel.is_on())
        except (OSError, ValueError) as error:
            yield Missing(f"hwmon {name}", str(error))
            continue
        found.setdefault(name, []).extend(channels)
    for name, supplies in found.items():
        if supplies:
            yield Hwmon(name, _with_own_labels(supplies))


def _with_own_labels(channels: list[_Channel]) -> tuple[_Channel, ...]:
    """Rails that are called alike get the address of their chip: ``rail 1 (1-0041)``."""
    labels = [channel.label for channel in channels]
    return tuple(
        replace(channel, label=f"{channel.label} ({_address(channel.files[0].parent)})")
        if labels.count(channel.label) > 1
        else channel
        for channel in channels
    )


def _address(directory: Path) -> str:
    """Where a chip is on its bus, which unlike the number of its directory stays the same."""
    device = directory / "device"
    return device.resolve().name if device.exists() else directory.name


def _channels(directory: Path) -> Iterator[_Channel]:
    direct = sorted([*directory.glob("power*_input"), *directory.glob("power*_average")])
    for path in direct:
        number = path.name.removeprefix("power").split("_")[0]
        yield _Channel(_label(directory, f"power{number}", number), (path,))
    if direct:
        return
    # Of an INA3221, which has three supplies, curr4 is the sum of the currents, and in4 is the first shunt's voltage.
    for current in sorted(directory.glob("curr[123]_input")):
        number = current.name.removeprefix("curr").removesuffix("_input")
        voltage = directory / f"in{number}_input"
        if voltage.exists():
            yield _Channel(_label(directory, f"in{number}", number), (voltage, current))


def _label(directory: Path, prefix: str, number: str) -> str:
    try:
        return (directory / f"{prefix}_label").read_text().strip() or f"rail {number}"
    except OSError:
        return f"rail {number}"
