# SPDX-License-Identifier: Apache-2.0
"""Coordinate descent: column by column, the codes are chosen anew while all others stay, pass after pass.

Source: MagR (arXiv 2406.00800), section 3.3 and its code, for 2 bits after GPTQ: 30 passes, with 0.75 of the mean
diagonal added to XᵀX, towards the original weights. The scales stay what they are; the authors' code fits those of
groups anew while it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import Format, QuantizedTensor
from edgeq.formats.layout import group_count
from edgeq.methods.grids import Grid, assemble, restore
from edgeq.methods.option_types import Count, NotNegative, PositiveCount
from edgeq.methods.options import MethodOptions
from edgeq.methods.rows import map_rows

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

ROWS = 512  # rows at a time, as in GPTQ


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of coordinate descent.

    Attributes:
        passes: Passes over all columns at most; it ends where a pass changes no code.
        damping: Added to the diagonal of XᵀX, as a fraction of its mean.
        block_size: Columns after which all other columns hear of the changes.
    """

    passes: Count = 30
    damping: NotNegative = 0.75
    block_size: PositiveCount = 128


def refine(
    tensor: QuantizedTensor,
    fmt: Format,
    target: Tensor,
    statistics: LayerStatistics | None,
    options: Options | None = None,
) -> QuantizedTensor:
    """Codes with less output error on the same scales.

    Args:
        tensor: The quantized matrix.
        fmt: Its format.
        target: The original weights, ``[N, K]``.
        statistics: Inputs of the layer.
        options: Options of the method.

    Raises:
        EdgeqError: There are no statistics.
    """
    options = options or Options()
    if statistics is None:
        raise EdgeqError("coordinate descent needs calibration", remedy="add --calibration FILE")
    hessian = damped(statistics.gram, options.damping)
    codes, grids = torch.from_numpy(tensor.codes), restore(fmt, tensor)

    def refine_rows(part: slice) -> QuantizedTensor:
        own = [grid.select(part) for grid in grids]
        descent = _Descent(codes[part], own, fmt.group_size, target[part].float(), hessian)
        descent.run(options)
        return assemble(fmt, descent.codes.T, own)

    return map_rows(len(codes), ROWS, refine_rows)


def damped(gram: Tensor, damping: float) -> Tensor:
    """XᵀX + λI as float32, λ a fraction of the mean diagonal; divided by that mean, which changes no minimum."""
    mean = float(gram.diagonal().mean()) or 1.0
    hessian = gram / mean
    # A column whose inputs are all zero keeps its code where nothing else is said of it.
    hessian.diagonal().add_(damping).clamp_(min=1e-12)
    return hessian.float()


class _Descent:
    """The passes over some rows; everything lies transposed, so that a column is contiguous."""

    def __init__(self, codes: Tensor, grids: list[Grid], group_size: int, target: Tensor, hessian: Tensor) -> None:
        self.columns = codes.shape[1]
        self.grids, self.group_size = grids, group_size or self.columns
        assert len(grids) == group_count(self.columns, group_size)
        self.hessian = hessian
        self.codes = codes.T.contiguous()
        self.weights = torch.cat(
            [
                grid.decode(part)
                for grid, part in zip(grids, codes.split(self.group_size, 1), strict=True)  # type: ignore[no-untyped-call]
            ],
            1,
        ).T.contiguous()
        self.gradient = hessian @ (target.T - self.weights)

    def run(self, options: Options) -> None:
        for _ in range(options.passes):
            before = self.codes.clone()
            for start in range(0, self.columns, options.block_size):
                self._visit_block(start, min(start + options.block_size, self.columns))
            if torch.equal(before, self.codes):
                break

    def _visit_block(self, start: int, end: int) -> None:
        changes = torch.empty_like(self.weights[start:end])
        for column in range(start, end):
            change = self._choose(column, changes[column - start])
            self.gradient[start:end].addr_(self.hessian[column, start:end], change, alpha=-1)
        self.gradient[:start].addmm_(self.hessian[:start, start:end], changes, alpha=-1)
        self.gradient[end:].addmm_(self.hessian[end:, start:end], changes, alpha=-1)

    def _choose(self, column: int, change: Tensor) -> Tensor:
        """Takes the level nearest to the minimum over this column; writes and returns how far the weights moved."""
        grid, weights = self.grids[column // self.group_size], self.weights[column]
        wanted = torch.add(weights, self.gradient[column], alpha=1 / float(self.hessian[column, column]))
        codes = grid.round(wanted.unsqueeze(1))
        levels = grid.decode(codes)[:, 0]
        torch.sub(levels, weights, out=change)
        self.codes[column], self.weights[column] = codes[:, 0], levels
        return change
