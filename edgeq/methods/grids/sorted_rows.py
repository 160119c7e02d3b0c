# SPDX-License-Identifier: Apache-2.0
"""Rows of weights in rising order with running sums, so that a set of levels is judged without touching each weight."""

from __future__ import annotations

import torch
from torch import Tensor

from edgeq.errors import EdgeqError


class SortedRows:
    """Weights ``[M, g]`` sorted within their rows.

    In one dimension the weights that are nearest to a level are neighbours: a binary search finds their borders, and
    differences of running sums give their mass, mean and squared error. A round of Lloyd's algorithm or of alternating
    least squares with L levels then costs L·log g a row instead of L·g.

    Args:
        weights: Floating point ``[M, g]``.
        importance: Weight of each squared error, ``[g]`` or ``[M, g]``, none of them negative; by default all 1.

    Attributes:
        values: The sorted weights, float64 ``[M, g]``.
        mass: Running sums of the importances, which are scaled to a mean of 1 in each row, float64 ``[M, g + 1]``.
        moment: Running sums of importance times weight.
        energy: Running sums of importance times squared weight.

    Raises:
        EdgeqError: A weight or importance is not finite.
    """

    def __init__(self, weights: Tensor, importance: Tensor | None = None) -> None:
        self.values, order = weights.double().sort(1)
        if not torch.isfinite(self.values[:, [0, -1]]).all():
            raise EdgeqError("weights are not finite", found="NaN or infinity", wanted="finite weights")
        shares = _shares(weights, importance).gather(1, order)
        self.mass = _running_sums(shares)
        self.moment = _running_sums(shares * self.values)
        self.energy = _running_sums(shares * self.values.square())

    @property
    def low(self) -> Tensor:
        """The lowest weight of each row, ``[M, 1]``."""
        return self.values[:, :1]

    @property
    def high(self) -> Tensor:
        """The highest weight of each row, ``[M, 1]``."""
        return self.values[:, -1:]

    def partition(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Mass and first moment of the weights nearest to each level; all float64 ``[M, L]``, ``levels`` rising."""
        borders = (levels[:, 1:] + levels[:, :-1]) / 2
        cuts = torch.searchsorted(self.values, borders)
        ends = cuts.new_full((len(cuts), 1), self.values.shape[1])
        cuts = torch.cat([torch.zeros_like(ends), cuts, ends], 1)
        return self.mass.gather(1, cuts).diff(dim=1), self.moment.gather(1, cuts).diff(dim=1)

    def error(self, levels: Tensor) -> Tensor:
        """Weighted squared error of the nearest levels, float64 ``[M]``; ``levels`` rising ``[M, L]``."""
        mass, moment = self.partition(levels)
        return self.energy[:, -1] + (levels * (levels * mass - 2 * moment)).sum(1)


def _shares(weights: Tensor, importance: Tensor | None) -> Tensor:
    """Importances with mean 1 in each row; a row whose weights matter nothing is treated as if all mattered alike."""
    if importance is None:
        return torch.ones_like(weights, dtype=torch.float64)
    shares = importance.double().expand(weights.shape)
    mean = shares.mean(1, keepdim=True)
    if not torch.isfinite(mean).all():
        raise EdgeqError("importance is not finite", field="statistics", wanted="finite inputs of the layer")
    return torch.where(mean > 0, shares / mean, 1.0)


def _running_sums(values: Tensor) -> Tensor:
    return torch.nn.functional.pad(values.cumsum(1), (1, 0))
