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
from edgeq.methods.grids.kmeans import k_means
from edgeq.methods.grids.levels import LevelGrid
from edgeq.methods.grids.sorted_rows import SortedRows
from edgeq.methods.option_types import Count


@dataclass(frozen=True)
class CodebookGridOptions(GridOptions):
    """How the levels of a table are placed; ``clip`` does not apply, ``beta`` scales the levels.

    Attributes:
        rounds: Rounds of Lloyd's algorithm at most.
    """

    rounds: Count = 50


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


def _grid(table: Tensor, scale: Tensor) -> CodebookGrid:
    return CodebookGrid.of_levels(table.float() * scale.float(), table, scale)
