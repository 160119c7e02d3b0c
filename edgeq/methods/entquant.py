# SPDX-License-Identifier: Apache-2.0
"""EntQuant: scales optimised so that the codes are small in the ℓ1 norm, a differentiable stand-in for their entropy.

Source: EntQuant (arXiv 2601.22787). Per-row log2 scales minimise

    ‖Q_s(W) − W‖₁ / ‖W‖₁ + λ·c·mean|q|,   c = 1/128 for int8 codes,

by L-BFGS (learning rate 1, strong Wolfe line search) with straight-through gradients through the rounding. No
calibration data. The paper gives λ; here it is searched for the rate that is asked for. Rows of 8 bits start at absmax.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgeq.formats import Format, QuantizedTensor, UniformFormat
from edgeq.methods.grids import assemble
from edgeq.methods.grids.uniform import as_float16
from edgeq.methods.option_types import NotNegative, PositiveCount
from edgeq.methods.steps import RateOptions, StepFamily, code_rate, grouped, round_codes, step_grids

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

CODE_SCALE = 1 / 128
SEARCHES = 7
LAMBDAS = (1e-1, 1e4)
SAMPLE_ROWS = 256  # on which λ is searched


@dataclass(frozen=True)
class Options(RateOptions):
    """Options of EntQuant.

    Attributes:
        trade: λ; by default what leads to ``bits``.
        iterations: L-BFGS iterations at most, in the final optimisation.
    """

    trade: NotNegative | None = None
    iterations: PositiveCount = 100


def quantize(
    weight: Tensor, fmt: Format, statistics: LayerStatistics | None = None, options: Options | None = None
) -> QuantizedTensor:
    """Quantizes ``[N, K]``; statistics are not used.

    Args:
        weight: Floating point ``[N, K]``.
        fmt: A uniform symmetric format.
        statistics: Ignored.
        options: Options of the method.

    Raises:
        EdgeqError: As `StepFamily.of` and `StepFamily.code_bits`.
    """
    options = options or Options()
    family = StepFamily.of(weight.float(), fmt, options)
    if options.trade is not None:
        steps = optimise_scales(family.weight, family.finest, family.fmt, options.trade, options.iterations)
    else:
        steps = _steps_of_rate(family, options)
    return assemble(family.fmt, round_codes(family.weight, steps, family.fmt), step_grids(steps, family.fmt))


def optimise_scales(weight: Tensor, start: Tensor, fmt: UniformFormat, trade: float, iterations: int) -> Tensor:
    """The scales that minimise EntQuant's objective.

    Args:
        weight: float32 ``[N, K]``.
        start: Scales to start from, ``[N, G]``; they do not get finer.
        fmt: The number format.
        trade: λ.
        iterations: L-BFGS iterations at most.

    Returns:
        float32 ``[N, G]``, exact in float16.
    """
    groups, empty = grouped(weight, fmt.group_size), start == 0
    finest = torch.where(empty, 1.0, start)
    logs = finest.log2().requires_grad_()
    norm, half = weight.abs().sum().clamp(min=1e-30), 2 ** (fmt.bits - 1)
    descent = torch.optim.LBFGS([logs], lr=1, max_iter=iterations, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        descent.zero_grad()
        scale = logs.exp2().unsqueeze(2)
        scaled = groups / scale
        codes = scaled + (scaled.detach().round().clamp_(-half, half - 1) - scaled.detach())
        value = (codes * scale - groups).abs().sum() / norm + trade * CODE_SCALE * codes.abs().mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    descent.step(loss)  # type: ignore[no-untyped-call]
    return as_float16(torch.where(empty, 0.0, torch.maximum(logs.detach().exp2(), finest)))


def _steps_of_rate(family: StepFamily, options: Options) -> Tensor:
    """λ by bisection over its logarithm on some of the rows; what is left is made up for by one factor for all rows."""
    wanted = family.code_bits(options.bits)
    rows = torch.arange(0, len(family.weight), max(1, len(family.weight) // SAMPLE_ROWS))
    weight, finest = family.weight[rows], family.finest[rows]
    low, high = LAMBDAS
    for _ in range(SEARCHES):
        middle = math.sqrt(low * high)
        steps = optimise_scales(weight, finest, family.fmt, middle, options.iterations // 4)
        found = code_rate(round_codes(weight, steps, family.fmt), options.rate)
        low, high = (middle, high) if found > wanted else (low, middle)
    trade = math.sqrt(low * high)
    shape = optimise_scales(family.weight, family.finest, family.fmt, trade, options.iterations)
    fitted = replace(family, shape=shape)
    return fitted.steps(fitted.factor(wanted))
