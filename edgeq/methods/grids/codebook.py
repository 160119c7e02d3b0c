# SPDX-License-Identifier: Apache-2.0
"""Codebook grids: levels placed by weighted k-means, stored as int8 with one float16 scale.

Source: SqueezeLLM (arXiv 2306.07629), section 4.1: one-dimensional k-means per output row, each squared error weighted
with the sensitivity of its weight, at most 50 rounds. The int8 table is this format's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgeq.formats import CodebookFormat, CodebookTensor
from edgeq.formats.codebook import nearest_levels
from edgeq.methods.grids.base import GridOptions
from edgeq.methods.grids.levels import LevelGrid
from edgeq.methods.grids.sorted_rows import SortedRows

START_ROUNDS = 5  # after which the best start is kept


@dataclass(frozen=True)
class CodebookGridOptions(GridOptions):
    """How the levels of a table are placed; ``clip`` does not apply, ``beta`` scales the levels.

    Attributes:
        rounds: Rounds of Lloyd's algorithm at most.
    """

    rounds: int = 50


@dataclass(frozen=True)
class CodebookGrid(LevelGrid):
    """Levels of a table.

    Attributes:
        table: int8 ``[N, L]``.
        scale: What it is multiplied by, float16 ``[N, 1]``.
    """

    table: Tensor
    scale: Tensor


def fit(weights: Tensor, fmt: CodebookFormat, importance: Tensor | None, options: GridOptions) -> CodebookGrid:
    """A grid for each row of ``weights``, float32 ``[N, g]``; arguments and errors as in `fit_grid`."""
    rounds = options.rounds if isinstance(options, CodebookGridOptions) else CodebookGridOptions().rounds
    centroids = k_means(SortedRows(weights, importance), 2**fmt.bits, rounds) * options.multiplier
    stored, scales = nearest_levels(centroids.float().unsqueeze(1).numpy(), 2**fmt.bits)
    return _grid(torch.from_numpy(stored)[:, 0], torch.from_numpy(scales))


def assemble(fmt: CodebookFormat, codes: Tensor, grids: Sequence[CodebookGrid]) -> CodebookTensor:
    """Codes uint8 ``[N, K]`` and the grid of each group as one matrix."""
    tables = torch.stack([grid.table for grid in grids], 1)
    scales = torch.cat([grid.scale for grid in grids], 1)
    return CodebookTensor(codes.contiguous().numpy(), tables.numpy(), scales.numpy())


def restore(fmt: CodebookFormat, tensor: CodebookTensor) -> list[CodebookGrid]:
    """The grid of each group of a matrix."""
    tables, scales = torch.from_numpy(tensor.levels), torch.from_numpy(tensor.scales)
    return [_grid(tables[:, group], scales[:, group : group + 1]) for group in range(scales.shape[1])]


def k_means(rows: SortedRows, count: int, rounds: int) -> Tensor:
    """Centroids of small weighted squared error.

    Args:
        rows: M rows of weights.
        count: L.
        rounds: Rounds of Lloyd's algorithm at most, from the best start; no round raises the error.

    Returns:
        float64 ``[M, L]``, rising.
    """
    best, least = rows.low.expand(-1, count), torch.full_like(rows.energy, torch.inf)
    for start in starts(rows, count):
        centroids = _refine(rows, start, min(rounds, START_ROUNDS))
        error = rows.error(centroids)
        best = torch.where((error < least).unsqueeze(1), centroids, best)
        least = torch.minimum(error, least)
    return _refine(rows, best, rounds - START_ROUNDS)


def starts(rows: SortedRows, count: int) -> list[Tensor]:
    """Even quantiles of the mass, even steps over the range, and their mean, which is near the best density."""
    fractions = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    quantiles = rows.quantiles(fractions)
    even = rows.low + (rows.high - rows.low) * fractions
    return [quantiles, even, (quantiles + even) / 2]


def _refine(rows: SortedRows, centroids: Tensor, rounds: int) -> Tensor:
    for _ in range(rounds):
        mass, moment = rows.partition(centroids)
        moved = torch.where(mass > 0, moment / mass, centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids


def _grid(table: Tensor, scale: Tensor) -> CodebookGrid:
    return CodebookGrid.of_levels(table.float() * scale.float(), table, scale)
