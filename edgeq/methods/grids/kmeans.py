# SPDX-License-Identifier: Apache-2.0
"""One-dimensional weighted k-means, for many rows at once.

The clusters of the optimum are runs of the sorted weights, so dynamic programming finds it (Wang and Song,
Ckmeans.1d.dp, 2011). Here it runs over the borders of bins, single weights where a row is short, and Lloyd's algorithm
goes on from there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgeq.methods.grids.sorted_rows import SortedRows

EXACT = 48  # up to so many weights every one is a bin of its own
BINS_PER_ROOT = 6  # bins of longer rows, per square root of their number of weights
CELLS = 1 << 21  # of the table of costs, filled at a time


def k_means(rows: SortedRows, count: int, rounds: int) -> Tensor:
    """Centroids of small weighted squared error; the least for rows of up to `EXACT` weights.

    Args:
        rows: M rows of weights.
        count: L.
        rounds: Rounds of Lloyd's algorithm at most; none raises the error.

    Returns:
        float64 ``[M, L]``, rising.
    """
    centroids = best_centroids(rows, count)
    for _ in range(rounds):
        mass, moment = rows.partition(centroids)
        moved = torch.where(mass > 0, moment / mass, centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids


def best_centroids(rows: SortedRows, count: int) -> Tensor:
    """Centroids of the best clusters whose borders are borders of bins, float64 ``[M, L]``, rising."""
    positions = _bin_borders(rows.values.shape[1])
    step = max(1, CELLS // len(positions) ** 2)
    sums = [torch.split(part[:, positions], step) for part in (rows.mass, rows.moment, rows.energy)]
    lowest = torch.split(rows.low, step)
    parts = zip(*sums, lowest, strict=True)
    return torch.cat([_centroids(mass, moment, energy, low, count) for mass, moment, energy, low in parts])


def _bin_borders(size: int) -> Tensor:
    """Where bins begin and end, int64, rising from 0 to ``size``; narrow at the ends, where weights are rare."""
    bins = size if size <= EXACT else max(EXACT, round(BINS_PER_ROOT * math.sqrt(size)))
    if bins >= size:
        return torch.arange(size + 1)
    angles = torch.linspace(0, math.pi, bins + 1, dtype=torch.float64)
    borders: Tensor = torch.unique((size * (1 - angles.cos()) / 2).round().to(torch.int64))
    return borders


def _centroids(mass: Tensor, moment: Tensor, energy: Tensor, low: Tensor, count: int) -> Tensor:
    """From running sums at the borders of the bins, ``[M, B + 1]``, and the lowest weights, ``[M, 1]``."""
    cost = _costs(mass, moment, energy)
    least, choices = cost[:, 0], []
    for _ in range(count - 1):
        least, start = (least.unsqueeze(2) + cost).min(1)
        choices.append(start)
    cuts = [torch.full_like(choices[0][:, :1] if choices else mass[:, :1].long(), mass.shape[1] - 1)]
    for start in reversed(choices):
        cuts.insert(0, start.gather(1, cuts[0]))
    borders = torch.cat([torch.zeros_like(cuts[0]), *cuts], 1)
    masses, moments = (part.gather(1, borders).diff(dim=1) for part in (mass, moment))
    # An empty cluster takes the centroid before it, or the lowest weight.
    return torch.where(masses > 0, moments / masses, low).cummax(1).values


def _costs(mass: Tensor, moment: Tensor, energy: Tensor) -> Tensor:
    """Squared error of one cluster from each border to each later one, ``[M, B + 1, B + 1]``; infinite backwards."""
    masses, moments, energies = (part.unsqueeze(1) - part.unsqueeze(2) for part in (mass, moment, energy))
    costs = torch.where(masses > 0, energies - moments.square() / masses, 0.0)
    backwards = torch.ones(costs.shape[1:], dtype=torch.bool).tril(-1)
    return costs.masked_fill_(backwards, torch.inf)
