# SPDX-License-Identifier: Apache-2.0
"""Batteries of Linux and Android devices: ``/sys/class/power_supply``.

The sign of the current differs from vendor to vendor, so only its size is used, and only while the battery says that
it is discharging: on a cable the charger pays, not the battery.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from edgeq_devices.power.source import Description, Missing, Quantity, Rail, read_number

CHARGING = "the battery is not discharging (status {status!r})"
REMEDY = "unplug the charger; over adb, use Wi-Fi instead of the cable"


class Battery:
    """A discharging battery.

    Args:
        directory: Its ``power_supply`` directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.read()

    @property
    def description(self) -> Description:
        """The whole device."""
        return Description(
            f"battery {self._directory.name}",
            Quantity.POWER,
            (Rail("battery", counted=True),),
            leaves_out="nothing: the whole device, its display included",
            uncertainty="not stated; fuel gauges are typically within a few per cent",
            interval=0.5,
        )

    def read(self) -> Mapping[str, float]:
        """Watts drawn from the battery.

        Raises:
            OSError: The battery has vanished.
            ValueError: It is being charged, or its values are not numbers.
        """
        status = (self._directory / "status").read_text().strip()
        if status != "Discharging":
            raise ValueError(CHARGING.format(status=status))
        power = self._directory / "power_now"
        if power.exists():
            return {"battery": abs(read_number(power)) * 1e-6}
        amperes = read_number(self._directory / "current_now") * 1e-6
        return {"battery": abs(amperes) * read_number(self._directory / "voltage_now") * 1e-6}

    def close(self) -> None:
        """Holds nothing open."""


def find(root: Path) -> Iterator[Battery | Missing]:
    """The batteries of this machine."""
    for directory in sorted((root / "sys/class/power_supply").glob("*")):
        try:
            if (directory / "type").read_text().strip() != "Battery" or _of_a_peripheral(directory):
                continue
            yield Battery(directory)
        except PermissionError as error:
            yield Missing(f"battery {directory.name}", f"may not read {error.filename}", "adb root, or run as root")
        except (OSError, ValueError) as error:
            yield Missing(f"battery {directory.name}", str(error), REMEDY)


def _of_a_peripheral(directory: Path) -> bool:
    """Mice and keyboards report batteries too."""
    try:
        return (directory / "scope").read_text().strip() == "Device"
    except OSError:
        return False
