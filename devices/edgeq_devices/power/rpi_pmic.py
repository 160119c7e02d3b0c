# SPDX-License-Identifier: Apache-2.0
"""Raspberry Pi 5: the power management chip's own converters, through ``vcgencmd pmic_read_adc``.

The input rail EXT5V has a voltage and no current, so the sum of the rails leaves out what the converters lose and
what USB devices draw.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from edgeq_devices.power.source import Description, Missing, Quantity, Rail

NAME = "Raspberry Pi 5 PMIC"
COMMAND = ("vcgencmd", "pmic_read_adc")
REMEDY = "sudo usermod -aG video $USER  (and log in again)"
_MODELS = ("Raspberry Pi 5", "Raspberry Pi Compute Module 5")
_READING = re.compile(r"(?P<rail>\w+)_(?P<kind>[AV])\s+(?:current|volt)\(\d+\)=(?P<value>-?\d+(?:\.\d+)?)[AV]\b")


def parse(text: str) -> dict[str, float]:
    """Watts by rail; rails that lack voltage or current are left out.

    Raises:
        ValueError: No rail has both.
    """
    readings = {(match["rail"], match["kind"]): float(match["value"]) for match in _READING.finditer(text)}
    watts = {
        rail: amperes * readings[rail, "V"]
        for (rail, kind), amperes in readings.items()
        if kind == "A" and (rail, "V") in readings
    }
    if not watts:
        raise ValueError(f"vcgencmd pmic_read_adc: found {text[:60]!r}, wanted currents and voltages")
    return watts


def _run() -> str:
    return subprocess.run(COMMAND, capture_output=True, text=True, timeout=5, check=True).stdout


class Pmic:
    """The converters' outputs.

    Args:
        run: Returns what the command prints.
    """

    def __init__(self, run: Callable[[], str] = _run) -> None:
        self._run = run
        self._rails = tuple(Rail(name, counted=True) for name in parse(run()))

    @property
    def description(self) -> Description:
        """All converters."""
        return Description(
            NAME,
            Quantity.POWER,
            self._rails,
            leaves_out="converter losses, USB devices, hats, the fan",
            uncertainty="not stated; the ADC steps are about 0.1 % of full scale",
            interval=0.05,  # one call takes about 45 ms there
        )

    def read(self) -> Mapping[str, float]:
        """Watts by rail.

        Raises:
            OSError: The command failed.
        """
        try:
            return parse(self._run())
        except subprocess.SubprocessError as error:
            raise OSError(f"{' '.join(COMMAND)}: {error}") from error

    def close(self) -> None:
        """Holds nothing open."""


def find(root: Path, run: Callable[[], str] = _run) -> Iterator[Pmic | Missing]:
    """The chip of this machine, if it is a Raspberry Pi 5."""
    try:
        model = (root / "proc/device-tree/model").read_text()
    except OSError:
        return
    if not model.startswith(_MODELS):
        return
    if run is _run and shutil.which(COMMAND[0]) is None:
        yield Missing(NAME, "vcgencmd is not installed", "sudo apt install libraspberrypi-bin")
        return
    try:
        yield Pmic(run)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        yield Missing(NAME, f"vcgencmd failed: {error}", REMEDY)
