# SPDX-License-Identifier: Apache-2.0
"""In-channel balancing: channels whose errors cost little get smaller weights, hence shorter codes.

Double compression (arXiv 2502.15443) rescales weights before they are quantized so that the codes compress better; the
scale goes into what makes the inputs, as in AWQ. The paper's formula is not public; this one follows from rate and
distortion: with one step Δ and scales s the codes take Σ log2 s more bits and the output error is Δ²/12·Σ (p/s)², whose
best trade at high rates is s = p, where p² is what an error of the channel costs: in GPTQ the squared pivot of XᵀX, in
rounding to nearest its diagonal. Exponents of p between 0 and 1 are compared by the entropy of real codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from edgeq.methods.folding import Fold, FoldableBlock
from edgeq.methods.gptq import memoized_factor
from edgeq.methods.option_types import NotNegative, Positive, PositiveCount
from edgeq.methods.options import MethodOptions
from edgeq.methods.scaling import SMALLEST, fold_each, normalized, observed_layers
from edgeq.methods.steps import RateOptions, StepFamily, code_rate, round_codes


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of balancing.

    Attributes:
        bits: Stored bits per weight at which exponents are compared; those of the solver.
        cost: What errors cost: ``pivots`` of GPTQ, or the ``diagonal`` of XᵀX for solvers that make up for nothing.
        spread: As the solver's.
        steps: Exponents tried in (0, 1], beside 0.
        damping: As in GPTQ.
    """

    bits: Positive = 3.6
    cost: Literal["pivots", "diagonal"] = "pivots"
    spread: NotNegative = 0.5
    steps: PositiveCount = 8
    damping: Positive = 0.01


def fold(block: FoldableBlock, options: Options | None = None) -> None:
    """Rescales the layers of a block, in place; its outputs stay as they were.

    Args:
        block: The block and the statistics of its layers.
        options: Options of the method.

    Raises:
        EdgeqError: It is not known where scales can be folded in this architecture, or a format is not uniform.
    """
    chosen = options or Options()
    fold_each(block, lambda place: best_scale(block, place, chosen))


def best_scale(block: FoldableBlock, place: Fold, options: Options) -> Tensor:
    """The scale ``[K]`` with which the codes of the place's layers take the fewest bits for the same output error."""
    costs = block.shared(place, _channel_costs(block, place, options)).clamp(min=SMALLEST)
    best, least = torch.ones_like(costs), torch.inf
    for step in range(options.steps + 1):
        scale = normalized(costs ** (step / options.steps))
        bits = sum(_bits(block, layer, scale, costs, options) for layer in observed_layers(block, place))
        if bits < least:
            best, least = scale, bits
    return best


def _channel_costs(block: FoldableBlock, place: Fold, options: Options) -> Tensor:
    """Root of what a squared error of each channel costs, float32 ``[K]``, with mean square 1."""
    statistics = block.statistics[observed_layers(block, place)[0]]
    if options.cost == "diagonal":
        costs = statistics.diagonal.clamp(min=0).sqrt().float()
    else:
        factor = memoized_factor(statistics, options.damping, act_order=False)
        costs = torch.where(factor.dead, 0.0, 1 / factor.upper.diagonal())
    return costs / costs.square().mean().sqrt().clamp(min=1e-30)


def _bits(block: FoldableBlock, layer: str, scale: Tensor, costs: Tensor, options: Options) -> float:
    """Bits of a layer's codes for a fixed output error, up to a constant: what the error is short of costs ½·log2."""
    weight = block.weight(layer) * scale
    rates = RateOptions(options.bits, options.spread)
    family = StepFamily.of(weight.float(), block.formats[layer], rates)
    steps = family.steps(family.factor(family.code_bits(options.bits)))
    error = float(steps.square().mean() * (costs / scale).square().mean())
    rate = code_rate(round_codes(family.weight, steps, family.fmt), rates.rate)
    return weight.numel() * (rate + 0.5 * float(torch.log2(torch.tensor(max(error, 1e-38)))))
