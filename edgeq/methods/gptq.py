# SPDX-License-Identifier: Apache-2.0
"""GPTQ: columns are rounded one after the other, and the error of each is made up for by those that follow.

Source: GPTQ (arXiv 2210.17323), algorithm 1. The levels come from any grid, so that every number format can be used.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import Format, QuantizedTensor
from edgeq.formats.layout import group_count
from edgeq.methods.grids import Grid, GridOptions, assemble, fit_grid
from edgeq.methods.option_types import Positive, PositiveCount
from edgeq.methods.options import SolverOptions
from edgeq.methods.rows import map_rows

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

logger = logging.getLogger(__name__)

ROWS = 1024  # rows swept at a time: enough for each of the small operations on a column to outweigh its call
DAMPING_STEPS = 6


@dataclass(frozen=True)
class Options(SolverOptions):
    """Options of GPTQ.

    Attributes:
        grid: How the levels of a group are fitted; by default to the least squared error, each column weighted with
            what its errors cost in the sweep.
        damping: Added to the diagonal of XᵀX, as a fraction of its mean.
        block_size: Columns after which the errors are carried over to all columns that follow.
        act_order: Take the columns by falling importance; groups then keep the grids of the uncompensated weights.
        static_groups: Fit the grids of all groups before the first column is rounded.
    """

    grid: GridOptions = field(default_factory=lambda: GridOptions("mse"))
    damping: Positive = 0.01
    block_size: PositiveCount = 128
    act_order: bool = False
    static_groups: bool = False


@dataclass(frozen=True)
class Factor:
    """What the sweep needs to know about the inputs.

    Attributes:
        upper: U, float32 ``[K, K]``, upper triangular, UᵀU = (XᵀX + λI)⁻¹ of the columns in ``order``.
        order: The columns in the order in which they are rounded, int64 ``[K]``.
        dead: Columns whose inputs are always zero, bool ``[K]``, in their original order.
    """

    upper: Tensor
    order: Tensor
    dead: Tensor


def quantize(
    weight: Tensor,
    fmt: Format,
    statistics: LayerStatistics | None,
    options: Options | None = None,
) -> QuantizedTensor:
    """Quantizes ``[N, K]`` so that the layer's outputs on the calibration inputs change little.

    Args:
        weight: Floating point ``[N, K]``.
        fmt: The number format.
        statistics: Inputs of the layer.
        options: Options of the method.

    Raises:
        EdgeqError: There are no statistics, a weight is not finite, or no damping makes XᵀX positive definite.
    """
    options = options or Options()
    if statistics is None:
        raise EdgeqError("GPTQ needs calibration", remedy="add --calibration FILE")
    factor = memoized_factor(statistics, options.damping, options.act_order)
    weight = torch.where(factor.dead, 0.0, weight.float())
    return map_rows(len(weight), ROWS, lambda part: _Sweep(weight[part], fmt, statistics, factor, options).run())


def factorize(gram: Tensor, damping: float = 0.01, act_order: bool = False) -> Factor:
    """The Cholesky factor of the damped inverse.

    Damping is raised tenfold, with a warning, while the factorisation fails.

    Args:
        gram: XᵀX, float64 ``[K, K]``.
        damping: As a fraction of the mean of the diagonal.
        act_order: Sort the columns by falling diagonal.

    Raises:
        EdgeqError: No damping helped: the statistics are not finite.
    """
    diagonal = gram.diagonal()
    dead = diagonal == 0
    order = torch.argsort(diagonal, descending=True, stable=True) if act_order else torch.arange(len(gram))
    mean = float(diagonal.mean()) or 1.0
    # The upper factor R of H = R Rᵀ is a Cholesky factor of the columns in reverse; U is its inverse.
    reversed_order = order.flip(0)
    for step in range(DAMPING_STEPS):
        damped = gram[reversed_order][:, reversed_order]
        damped.diagonal().add_(damping * 10**step * mean + dead[reversed_order])
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed and torch.isfinite(lower.diagonal()).all():
            identity = torch.eye(len(gram), dtype=lower.dtype)
            inverse = torch.linalg.solve_triangular(lower, identity, upper=False)
            return Factor(inverse.flip(0, 1).float(), order, dead)
        logger.warning("XᵀX is not positive definite with damping %g; raising it tenfold", damping * 10**step)
    raise EdgeqError("XᵀX cannot be factorised", field="statistics", wanted="finite inputs of the layer")


def memoized_factor(statistics: LayerStatistics, damping: float, act_order: bool) -> Factor:
    """`factorize`, once for all layers with the same inputs."""
    key = ("gptq", damping, act_order)
    if key not in statistics.memo:
        statistics.memo[key] = factorize(statistics.gram, damping, act_order)
    factor = statistics.memo[key]
    assert isinstance(factor, Factor)
    return factor


class _Sweep:
    """The sweep over the columns of some rows.

    The weights lie transposed and in the order of the sweep, so that a column is contiguous.
    """

    def __init__(
        self, weight: Tensor, fmt: Format, statistics: LayerStatistics, factor: Factor, options: Options
    ) -> None:
        self.rows, self.columns = weight.shape
        self.fmt, self.options = fmt, options
        self.group_size = fmt.group_size or self.columns
        self.upper = factor.upper
        self.order: list[int] = factor.order.tolist()
        self.pivots: list[float] = factor.upper.diagonal().tolist()
        self.work = weight.T[self.order].contiguous()
        self.grids: list[Grid] = []
        if options.act_order or options.static_groups:
            importance = statistics.diagonal.float()
            self.grids = [
                fit_grid(fmt, part.contiguous(), weights, options.grid)
                for part, weights in zip(
                    torch.split(weight, self.group_size, 1), torch.split(importance, self.group_size), strict=True
                )
            ]
        # An error e of column j in the sweep costs (e / U_jj)², which is what a grid should keep small.
        self.importance = self.upper.diagonal().square().reciprocal()

    def run(self) -> QuantizedTensor:
        block = self._block_size()
        for start in range(0, self.columns, block):
            end = min(start + block, self.columns)
            errors = self._round_block(start, end)
            self.work[end:].addmm_(self.upper[start:end, end:].T, errors, alpha=-1)
        assert len(self.grids) == group_count(self.columns, self.fmt.group_size)
        decoded = torch.empty_like(self.work)
        decoded[self.order] = self.work
        # Rounding a level gives its code; many columns at a time, it costs next to nothing.
        parts = torch.split(decoded.T, self.group_size, 1)
        codes = [grid.round(part) for grid, part in zip(self.grids, parts, strict=True)]
        return assemble(self.fmt, torch.cat(codes, 1), self.grids)

    def _block_size(self) -> int:
        """Blocks in which every group that starts finds its columns compensated: whole groups, or parts of one."""
        block, group = self.options.block_size, self.group_size
        if group >= self.columns or block % group == 0 or group % block == 0:
            return block
        return max(block // group, 1) * group

    def _round_block(self, start: int, end: int) -> Tensor:
        """Rounds the columns of a block; returns their scaled errors, float32 ``[end - start, N]``."""
        errors = torch.empty(end - start, self.rows)
        for column in range(start, end):
            weights, error = self.work[column], errors[column - start]
            rounded = self._grid_of(column).nearest(weights.unsqueeze(1)).squeeze(1)
            torch.sub(weights, rounded, out=error).div_(self.pivots[column])
            weights.copy_(rounded)
            self.work[column + 1 : end].addr_(self.upper[column, column + 1 : end], error, alpha=-1)
        return errors

    def _grid_of(self, column: int) -> Grid:
        group = self.order[column] // self.group_size
        if group == len(self.grids):  # groups come in order unless their grids exist already
            part = slice(column, column + self.group_size)
            self.grids.append(
                fit_grid(self.fmt, self.work[part].T.contiguous(), self.importance[part], self.options.grid)
            )
        return self.grids[group]
