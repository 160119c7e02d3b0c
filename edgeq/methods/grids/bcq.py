# SPDX-License-Identifier: Apache-2.0
"""Binary-coded grids: levels Σ ±α_p + z, fitted by greedy and alternating least squares.

Source: LUT-GEMM (arXiv 2206.09557), section 3.1, after Xu et al. (alternating multi-bit quantization, 2018). The offset
as one more fitted column is that of HLQ (ELUTQ); importances and the uniform starts beside the greedy one are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from edgeq.formats import BcqFormat, BcqTensor
from edgeq.methods.grids.base import GridOptions
from edgeq.methods.grids.kmeans import best_centroids
from edgeq.methods.grids.levels import LevelGrid
from edgeq.methods.grids.sorted_rows import SortedRows
from edgeq.methods.grids.uniform import as_float16
from edgeq.methods.option_types import Count

START_RATIOS = (1.0, 0.85, 0.7)  # of the range, for the uniform starts
START_ROUNDS = 3  # after which the best start is kept
RIDGE = 1e-9  # of the mean diagonal of the normal equations


@dataclass(frozen=True)
class BcqGridOptions(GridOptions):
    """How binary-coded levels are fitted; ``clip`` does not apply, ``beta`` scales the levels about their offset.

    Attributes:
        rounds: Alternating rounds; 0: the best start as it is.
    """

    rounds: Count = 15


@dataclass(frozen=True)
class BcqGrid(LevelGrid):
    """Levels Σ ±α_p + z; bit p of a code is the sign of α_p (1: +1).

    Attributes:
        coefficients: α, float32 ``[N, planes]`` that float16 represents.
        offset: z, float32 ``[N, 1]`` that float16 represents.
    """

    coefficients: Tensor
    offset: Tensor


def fit(weights: Tensor, fmt: BcqFormat, importance: Tensor | None, options: GridOptions) -> BcqGrid:
    """A grid for each row of ``weights``, float32 ``[N, g]``; arguments and errors as in `fit_grid`."""
    rounds = options.rounds if isinstance(options, BcqGridOptions) else BcqGridOptions().rounds
    solution = alternate(SortedRows(weights, importance), fmt.bits, rounds)
    planes, offset = solution[:, :-1].abs(), solution[:, -1:]
    coefficients = as_float16(planes.sort(1).values.float() * options.multiplier)
    offset = as_float16(offset.float())
    return _grid(coefficients, offset)


def assemble(fmt: BcqFormat, codes: Tensor, grids: Sequence[BcqGrid]) -> BcqTensor:
    """Codes uint8 ``[N, K]`` and the grid of each group as one matrix."""
    coefficients = torch.stack([grid.coefficients for grid in grids], 1).half()
    offsets = torch.cat([grid.offset for grid in grids], 1).half()
    return BcqTensor(codes.contiguous().numpy(), coefficients.numpy(), offsets.numpy())


def restore(fmt: BcqFormat, tensor: BcqTensor) -> list[BcqGrid]:
    """The grid of each group of a matrix."""
    coefficients = torch.from_numpy(tensor.coefficients).float()
    offsets = torch.from_numpy(tensor.offsets).float()
    return [_grid(coefficients[:, group], offsets[:, group : group + 1]) for group in range(offsets.shape[1])]


def alternate(rows: SortedRows, planes: int, rounds: int) -> Tensor:
    """Coefficients and offset of small weighted squared error.

    Args:
        rows: M rows of weights.
        planes: q.
        rounds: Alternations of nearest levels and least squares, from the best start; no round raises the error.

    Returns:
        float64 ``[M, q + 1]``, the offset last.
    """
    best = greedy(rows, planes)
    least = best.new_full((len(best),), torch.inf)
    uniform = [uniform_start(rows, planes, ratio) for ratio in START_RATIOS]
    for start in [best, *uniform, k_means_start(rows, planes)]:
        solution = start
        for _ in range(min(rounds, START_ROUNDS)):
            solution = improve(rows, solution)
        error = rows.error(levels_of(solution).sort(1).values)
        best = torch.where((error < least).unsqueeze(1), solution, best)
        least = torch.minimum(error, least)
    for _ in range(rounds - START_ROUNDS):
        best = improve(rows, best)
    return best


def greedy(rows: SortedRows, planes: int) -> Tensor:
    """The paper's start, around the mean: every plane takes the sign of the rest and its mean magnitude."""
    shares = rows.mass.diff(dim=1) / rows.mass[:, -1:]
    solution = [rows.moment[:, -1:] / rows.mass[:, -1:]]
    rest = rows.values - solution[0]
    for _ in range(planes):
        solution.insert(-1, (shares * rest.abs()).sum(1, keepdim=True))
        rest -= torch.where(rest >= 0, solution[-2], -solution[-2])
    return torch.cat(solution, 1)


def uniform_start(rows: SortedRows, planes: int, ratio: float) -> Tensor:
    """The binary-coded image of uniform levels from the lowest to the highest weight, scaled by ``ratio``."""
    centre, half_range = (rows.high + rows.low) / 2, (rows.high - rows.low) / 2 * ratio
    parts = 2.0 ** torch.arange(planes, dtype=centre.dtype) / (2**planes - 1)
    return torch.cat([half_range * parts, centre], 1)


def k_means_start(rows: SortedRows, planes: int) -> Tensor:
    """The least-squares fit to the best free levels, taken in the order of the codes; for one plane it is exact."""
    levels = best_centroids(rows, 2**planes)
    mass, moment = rows.partition(levels)
    solution: Tensor = torch.linalg.solve(*_normal_equations(mass, moment, _design(planes)))
    return solution


def improve(rows: SortedRows, solution: Tensor) -> Tensor:
    """One round: nearest levels, then the coefficients and offset of least weighted squared error.

    The step is damped towards ``solution``; so normal equations of unused levels can be solved, and no error rises.
    """
    design = _design(solution.shape[1] - 1)
    rising, order = (solution @ design.T).sort(1)
    mass, moment = (torch.zeros_like(rising).scatter_(1, order, part) for part in rows.partition(rising))
    step: Tensor = torch.linalg.solve(*_normal_equations(mass, moment - mass * (solution @ design.T), design))
    return solution + step


def levels_of(solution: Tensor) -> Tensor:
    """Levels by code, ``[M, 2^q]``."""
    return solution @ _design(solution.shape[1] - 1).T


def _normal_equations(mass: Tensor, moment: Tensor, design: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix ``[M, q + 1, q + 1]`` and right-hand side of the fit to moments by code, ``[M, 2^q]``."""
    size = design.shape[1]
    normal = (mass @ (design[:, :, None] * design[:, None, :]).flatten(1)).reshape(-1, size, size)
    normal.diagonal(dim1=1, dim2=2).add_(RIDGE * mass.sum(1, keepdim=True))
    return normal, moment @ design


def _grid(coefficients: Tensor, offset: Tensor) -> BcqGrid:
    signs = _design(coefficients.shape[1])[:, :-1].float()
    levels = offset.expand(-1, len(signs))
    for plane in range(coefficients.shape[1]):  # summed in the order in which the format sums
        levels = levels + coefficients[:, plane : plane + 1] * signs[:, plane]
    return BcqGrid.of_levels(levels, coefficients, offset)


@cache
def _design(planes: int) -> Tensor:
    """Signs of each code and a column of ones, float64 ``[2^q, q + 1]``."""
    signs = (torch.arange(2**planes).unsqueeze(1) >> torch.arange(planes)) & 1
    return torch.cat([signs * 2.0 - 1.0, torch.ones(2**planes, 1)], 1).double()
