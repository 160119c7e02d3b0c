# SPDX-License-Identifier: Apache-2.0
"""Grids with any levels, found by binary search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from edgeq.methods.grids.base import Grid


@dataclass(frozen=True)
class LevelGrid(Grid):
    """Any levels.

    Attributes:
        levels: By code, float32 ``[N, L]``.
        order: The codes in the rising order of their levels, uint8 ``[N, L]``.
        borders: Midpoints of neighbouring levels, float32 ``[N, L - 1]``.
    """

    levels: Tensor
    order: Tensor
    borders: Tensor

    @classmethod
    def of_levels(cls, levels: Tensor, *rest: Any) -> Self:
        """The grid of levels ``[N, L]``, and of what a subclass holds beside them."""
        rising, order = levels.sort(dim=1, stable=True)
        borders = (rising[:, 1:] + rising[:, :-1]) / 2
        return cls(levels, order.to(torch.uint8), borders.contiguous(), *rest)

    def round(self, columns: Tensor) -> Tensor:
        """As `Grid.round`."""
        return self.order.gather(1, torch.searchsorted(self.borders, columns.contiguous()))

    def decode(self, codes: Tensor) -> Tensor:
        """As `Grid.decode`."""
        return self.levels.gather(1, codes.to(torch.int64))
