# SPDX-License-Identifier: Apache-2.0
"""Bit allocation as a multiple-choice knapsack: one scheme per unit, least damage within budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.errors import EdgeqError

Selection = tuple[int, ...]
"""Index of the choice of each unit."""


@dataclass(frozen=True)
class Choice:
    """A scheme that a unit may get.

    Attributes:
        scheme: Scheme string.
        damage: Predicted change of the loss, summed over the layers of the unit.
        costs: What it takes of each resource, whole numbers.
    """

    scheme: str
    damage: float
    costs: tuple[int, ...]


@dataclass(frozen=True)
class Unit:
    """Layers that get the same scheme.

    Attributes:
        layers: Their names.
        choices: What they may get.
    """

    layers: tuple[str, ...]
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Resource:
    """What is limited.

    Attributes:
        option: The option that limits it.
        limit: What all units together may take, a whole number of its smallest units.
        fixed: What the rest of the model takes of it besides.
        scale: Its smallest unit in the unit of the option.
        unit: Of the option, for messages.
    """

    option: str
    limit: int
    fixed: int = 0
    scale: float = 1.0
    unit: str = ""

    def describe(self, cost: int, digits: int = 5) -> str:
        """The whole model's figure where the units take ``cost``."""
        return f"{(cost + self.fixed) * self.scale:.{digits}g} {self.unit}".strip()


@dataclass(frozen=True)
class Problem:
    """Units and budgets.

    Attributes:
        units: Each with at least one choice; costs in the order of the resources.
        resources: What is limited.
    """

    units: tuple[Unit, ...]
    resources: tuple[Resource, ...]

    @property
    def limits(self) -> tuple[int, ...]:
        """Of each resource."""
        return tuple(resource.limit for resource in self.resources)

    def damage(self, selection: Sequence[int]) -> float:
        """Predicted change of the loss."""
        return sum(unit.choices[index].damage for unit, index in zip(self.units, selection, strict=True))

    def costs(self, selection: Sequence[int]) -> tuple[int, ...]:
        """What all units take of each resource."""
        chosen = [unit.choices[index].costs for unit, index in zip(self.units, selection, strict=True)]
        return tuple(sum(costs[r] for costs in chosen) for r in range(len(self.resources)))

    def fits(self, selection: Sequence[int]) -> bool:
        """Whether no budget is exceeded."""
        return all(cost <= limit for cost, limit in zip(self.costs(selection), self.limits, strict=True))

    def check_feasible(self) -> None:
        """Checks each budget by itself.

        Raises:
            EdgeqError: The cheapest schemes exceed one; the nearest feasible budget is named.
        """
        for index, resource in enumerate(self.resources):
            least = sum(min(choice.costs[index] for choice in unit.choices) for unit in self.units)
            if least > resource.limit:
                raise EdgeqError(
                    "budget too small",
                    field=resource.option,
                    found=resource.describe(resource.limit),
                    wanted=f"at least {_rounded_up(resource, least)}, with the cheapest candidate for every layer",
                    remedy="raise the budget or add cheaper --candidates",
                )


def _rounded_up(resource: Resource, cost: int) -> str:
    """The figure of ``cost`` with so many digits, rounded up, that it is feasible when it is given as the budget."""
    exact = (cost + resource.fixed) * resource.scale
    for digits in range(3, 17):
        text = f"{exact:.{digits}g}"
        if exact <= float(text) <= exact * 1.002:
            return f"{text} {resource.unit}".strip()
    return f"{exact!r} {resource.unit}".strip()
