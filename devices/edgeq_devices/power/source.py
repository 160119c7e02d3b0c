# SPDX-License-Identifier: Apache-2.0
"""What a power source is: rails, what they cover, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Protocol


class Quantity(Enum):
    """What a source reports."""

    ENERGY = "J"  # a counter that only grows
    POWER = "W"


@dataclass(frozen=True)
class Rail:
    """One measured supply.

    Attributes:
        name: As the interface calls it.
        counted: Whether it is a summand of the total; parts of another rail are not.
    """

    name: str
    counted: bool


@dataclass(frozen=True)
class Description:
    """What a source measures, for the report.

    Attributes:
        name: Of the interface and the device.
        quantity: Energy or power.
        rails: What it reads.
        leaves_out: What the board draws beside these rails.
        uncertainty: As its data sheet states it.
        interval: Seconds between samples that it can sustain.
    """

    name: str
    quantity: Quantity
    rails: tuple[Rail, ...]
    leaves_out: str
    uncertainty: str
    interval: float


@dataclass(frozen=True)
class Rails:
    """What a board's description says about its shunts.

    Attributes:
        names: Rails that add up to what they cover.
        leaves_out: What the board draws beside them.
    """

    names: tuple[str, ...]
    leaves_out: str

    def applied_to(self, description: Description) -> Description:
        """The description with these rails counted, and no others; unchanged where they are not all there."""
        if not set(self.names) <= {rail.name for rail in description.rails}:
            return description
        rails = tuple(Rail(rail.name, rail.name in self.names) for rail in description.rails)
        return replace(description, rails=rails, leaves_out=self.leaves_out)


class Source(Protocol):
    """A readable power source."""

    @property
    def description(self) -> Description:
        """What it measures."""

    def read(self) -> Mapping[str, float]:
        """Joules since some start, or watts, by rail.

        Raises:
            OSError: The sensor has vanished.
            ValueError: It reported something that is not a number.
        """

    def close(self) -> None:
        """Releases what it holds open."""


@dataclass(frozen=True)
class Missing:
    """A source that exists here but cannot be used.

    Attributes:
        name: Of the interface.
        reason: Why it cannot be read.
        remedy: The command that mends it, if there is one.
    """

    name: str
    reason: str
    remedy: str | None = None


def read_number(path: Path) -> float:
    """The number that a sysfs file holds.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds something else.
    """
    text = path.read_text().strip()
    try:
        return float(int(text))
    except ValueError:
        raise ValueError(f"{path}: found {text[:40]!r}, wanted an integer") from None
