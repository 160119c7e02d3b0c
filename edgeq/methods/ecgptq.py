# SPDX-License-Identifier: Apache-2.0
"""GPTQ for weights that are entropy-coded: coarser steps, no clipping, and codes chosen by error and length.

The sweep is that of GPTQ (arXiv 2210.17323); what a column's error costs is its square over that of its pivot. Each
weight takes the code of least cost + λ·bits, as in `edgeq.methods.ecsq`, so that columns whose errors cost little are
given fewer bits; the following columns make up for what cheaper codes change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import Format, QuantizedTensor
from edgeq.methods import ecsq
from edgeq.methods.gptq import Factor, memoized_factor
from edgeq.methods.option_types import Positive
from edgeq.methods.rate_search import SearchOptions, reach_target
from edgeq.methods.rows import worker_pool
from edgeq.methods.steps import StepFamily

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

ROWS = 1024  # swept at a time, as in GPTQ
BLOCK = 128  # columns after which all others hear of the errors


@dataclass(frozen=True)
class Options(SearchOptions):
    """Options of entropy-constrained GPTQ.

    Attributes:
        damping: Added to the diagonal of XᵀX, as a fraction of its mean.
        act_order: Take the columns by falling importance.
    """

    damping: Positive = 0.01
    act_order: bool = True


def quantize(
    weight: Tensor, fmt: Format, statistics: LayerStatistics | None, options: Options | None = None
) -> QuantizedTensor:
    """Quantizes ``[N, K]`` to the rate asked for; arguments as in `edgeq.methods.gptq.quantize`.

    Raises:
        EdgeqError: There are no statistics, or as `edgeq.methods.ecsq.quantize`.
    """
    options = options or Options()
    if statistics is None:
        raise EdgeqError("GPTQ needs calibration", remedy="add --calibration FILE")
    factor = memoized_factor(statistics, options.damping, options.act_order)
    weight = torch.where(factor.dead, 0.0, weight.float())
    family = StepFamily.of(weight, fmt, options)

    def encode(steps: Tensor, lengths: Tensor, slope: float) -> Tensor:
        parts = [slice(first, first + ROWS) for first in range(0, len(weight), ROWS)]
        with worker_pool() as pool:
            sweeps = [_Sweep(weight[part], steps[part], family, factor, lengths, slope) for part in parts]
            return torch.cat(list(pool.map(_Sweep.run, sweeps)))

    return reach_target(family, statistics, options, encode)


class _Sweep:
    """The sweep over the columns of some rows; weights lie transposed, in the order of the sweep."""

    def __init__(
        self, weight: Tensor, steps: Tensor, family: StepFamily, factor: Factor, lengths: Tensor, slope: float
    ) -> None:
        self.order: list[int] = factor.order.tolist()
        self.upper, self.pivots = factor.upper, factor.upper.diagonal().tolist()
        self.shares = ecsq.relative_importance(factor.upper.diagonal().square().reciprocal())
        self.work = weight.T[self.order].contiguous()
        self.steps = steps.T.contiguous()
        self.group_size, self.bits = family.fmt.group_size or weight.shape[1], family.fmt.bits
        self.lengths, self.slope = lengths, slope
        self.codes = torch.empty_like(self.work, dtype=torch.uint8)

    def run(self) -> Tensor:
        """Codes uint8 ``[n, K]`` in the original order of the columns."""
        columns = len(self.work)
        for start in range(0, columns, BLOCK):
            end = min(start + BLOCK, columns)
            errors = torch.stack([self._round(column, end) for column in range(start, end)])
            self.work[end:].addmm_(self.upper[start:end, end:].T, errors, alpha=-1)
        codes = torch.empty_like(self.codes)
        codes[self.order] = self.codes
        return codes.T.contiguous()

    def _round(self, column: int, end: int) -> Tensor:
        """Chooses the codes of a column and carries its error over to the block; returns the scaled error ``[n]``."""
        step, weights = self.steps[self.order[column] // self.group_size], self.work[column]
        scaled = weights / torch.where(step > 0, step, 1.0)
        share = self.shares[column : column + 1]
        codes = ecsq.cheap_codes(scaled.unsqueeze(1), self.lengths, self.slope, share, self.bits)[:, 0]
        self.codes[column] = codes
        error: Tensor = (weights - (codes.float() - 2 ** (self.bits - 1)) * step) / self.pivots[column]
        self.work[column + 1 : end].addr_(self.upper[column, column + 1 : end], error, alpha=-1)
        return error
