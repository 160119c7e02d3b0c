# SPDX-License-Identifier: Apache-2.0
"""AWQ: channels with large inputs get larger weights, hence smaller errors; what makes the inputs is divided in turn.

Source: AWQ (arXiv 2306.00978), section 3.2. The error is that of the layers' outputs over all calibration tokens, from
XᵀX, instead of the block's outputs on a sample; the clip search of its section 4 is that of the solver that follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgeq.methods.folding import Fold, FoldableBlock, scaled_statistics
from edgeq.methods.grids import Clip
from edgeq.methods.option_types import Count
from edgeq.methods.options import MethodOptions
from edgeq.methods.scaling import SMALLEST, fold_each, normalized, observed_layers, rounded, stacked_weights


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of AWQ.

    Attributes:
        steps: Exponents tried in [0, 1]; 0 leaves the layer as it is.
        clip: Range of a group while scales are compared.
        duo_scaling: Also divide by the mean magnitude of the weights to the power of one minus the exponent.
    """

    steps: Count = 20
    clip: Clip = "mse"
    duo_scaling: bool = False


def fold(block: FoldableBlock, options: Options | None = None) -> None:
    """Rescales the layers of a block, in place; its outputs stay as they were.

    Args:
        block: The block and the statistics of its layers.
        options: Options of the method.

    Raises:
        EdgeqError: It is not known where scales can be folded in this architecture.
    """
    chosen = options or Options()
    fold_each(block, lambda place: best_scale(block, place, chosen))


def best_scale(block: FoldableBlock, place: Fold, options: Options) -> Tensor:
    """The scale ``[K]`` of least output error of the quantized layers at one place."""
    layers = observed_layers(block, place)
    inputs = block.shared(place, block.statistics[layers[0]].mean_abs).clamp(min=SMALLEST)
    weights = block.shared(place, stacked_weights(block, place).abs().mean(0))
    best, least = torch.ones_like(inputs), torch.inf
    for step in range(options.steps + 1):
        exponent = step / options.steps
        scale = inputs**exponent
        if options.duo_scaling and step:
            scale = scale / weights.clamp(min=SMALLEST) ** (1 - exponent)
        scale = normalized(scale)
        error = sum(_error(block, layer, scale, options.clip) for layer in layers)
        if error < least:
            best, least = scale, error
    return best


def _error(block: FoldableBlock, layer: str, scale: Tensor, clip: Clip) -> float:
    """‖X/s · (Q(W s) − W s)ᵀ‖² over the calibration tokens."""
    statistics = scaled_statistics(block.statistics[layer], scale)
    weight, decoded = rounded(block, layer, scale, clip)
    difference = decoded - weight
    return float(((difference @ statistics.gram.float()) * difference).sum(dtype=torch.float64))
