# SPDX-License-Identifier: Apache-2.0
"""Options of methods: what every method's ``Options`` has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from edgeq.methods.grids import GridOptions

# Multipliers of the range that `beta=auto` tries on every row.
BETAS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)


@dataclass(frozen=True)
class MethodOptions:
    """Options of a method; its fields are what ``--method-option METHOD.FIELD=VALUE`` sets."""

    def candidates(self) -> Sequence[Self]:
        """The settings to try where an option says ``auto``; every row keeps the one with the least output error."""
        return [self]

    @property
    def wants_fisher(self) -> bool:
        """Whether the method reads `LayerStatistics.fisher`, which takes backward passes through the whole model."""
        return False


@dataclass(frozen=True)
class SolverOptions(MethodOptions):
    """Options of a method that chooses codes.

    Attributes:
        grid: How the levels of a group are fitted.
    """

    grid: GridOptions = field(default_factory=GridOptions)

    def candidates(self) -> Sequence[Self]:
        """One per range multiplier where ``beta`` is ``auto``."""
        if self.grid.beta != "auto":
            return [self]
        return [replace(self, grid=replace(self.grid, beta=beta)) for beta in BETAS]
