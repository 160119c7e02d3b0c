# SPDX-License-Identifier: Apache-2.0
"""What methods that rescale input channels share: one place of a block after the other, magnitudes, rounding."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.methods import rtn
from edgeq.methods.folding import Fold, FoldableBlock
from edgeq.methods.grids import Clip, GridOptions

logger = logging.getLogger(__name__)

SMALLEST = 1e-4


def fold_each(block: FoldableBlock, choose: Callable[[Fold], Tensor]) -> None:
    """Chooses and folds a scale at every place of a block, in place; its outputs stay as they were.

    Args:
        block: The block and the statistics of its layers.
        choose: The scale ``[K]`` of a place; nothing is changed where all of it is 1.

    Raises:
        EdgeqError: It is not known where scales can be folded in this architecture, or a scale is not finite.
    """
    for place in block.folds():
        scale = choose(place)
        if not torch.isfinite(scale).all():
            raise EdgeqError("scales are not finite", field=place.source, wanted="finite inputs and weights")
        logger.info("%s: scales from %.3g to %.3g", place.source, scale.min(), scale.max())
        if not (scale == 1).all():
            block.apply(place, scale)


def observed_layers(block: FoldableBlock, place: Fold) -> list[str]:
    """The layers of a place that are going to be quantized."""
    return [layer for layer in place.layers if layer in block.statistics]


def stacked_weights(block: FoldableBlock, place: Fold) -> Tensor:
    """Those layers' weights one below the other, ``[sum of N, K]``."""
    return torch.cat([block.weight(layer) for layer in observed_layers(block, place)])


def largest_magnitudes(block: FoldableBlock, place: Fold) -> tuple[Tensor, Tensor]:
    """The largest input and the largest weight of each channel, float32 ``[K]``, alike where scales must be."""
    inputs = block.statistics[observed_layers(block, place)[0]].absmax
    return block.shared(place, inputs), block.shared(place, stacked_weights(block, place).abs().amax(0))


def normalized(scale: Tensor) -> Tensor:
    """A scale with 1 half way, on a logarithmic axis, between its ends."""
    return (scale / (scale.max() * scale.min()).sqrt()).clamp(min=SMALLEST)


def rounded(block: FoldableBlock, layer: str, scale: Tensor, clip: Clip) -> tuple[Tensor, Tensor]:
    """A layer's weight times a scale, ``[N, K]``: as it is, and rounded to nearest in the layer's format."""
    fmt, weight = block.formats[layer], block.weight(layer) * scale
    importance = None
    if clip != "minmax":
        importance = (block.statistics[layer].diagonal / scale.double().square()).float()
    return weight, rtn.nearest_levels(weight, fmt, importance, GridOptions(clip))
