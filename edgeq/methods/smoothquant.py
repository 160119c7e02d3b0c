# SPDX-License-Identifier: Apache-2.0
"""SmoothQuant: outliers of the activations are moved into the weights by a fixed rule.

Source: SmoothQuant (arXiv 2211.10438), section 4: s = max|X|^α / max|W|^(1−α) per channel, folded into the norms before
the attention and before the feed-forward layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.methods.folding import Fold, FoldableBlock
from edgeq.methods.option_types import Fraction
from edgeq.methods.options import MethodOptions
from edgeq.methods.scaling import SMALLEST, fold_each, largest_magnitudes


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of SmoothQuant.

    Attributes:
        alpha: Migration strength in [0, 1]: how much of the activations' range the weights take up.
        places: ``norms`` as in the paper; ``all``: also where a linear layer makes the inputs.
    """

    alpha: Fraction = 0.5
    places: Literal["norms", "all"] = "norms"


def fold(block: FoldableBlock, options: Options | None = None) -> None:
    """Rescales the layers of a block, in place; its outputs stay as they were.

    Args:
        block: The block and the statistics of its layers.
        options: Options of the method.

    Raises:
        EdgeqError: It is not known where scales can be folded in this architecture, no norm of it can take one, or
            ``alpha`` is out of range.
    """
    chosen = options or Options()
    if not 0 <= chosen.alpha <= 1:
        raise EdgeqError("out of range", field="smoothquant.alpha", found=chosen.alpha, wanted="0 to 1")
    if chosen.places == "norms" and not any(_is_norm(place) for place in block.places()):
        raise EdgeqError(
            "no norm can take a scale",
            field="model_type",
            found=f"{block.config.model_type}, whose norms feed the residual too",
            remedy="--method-option smoothquant.places=all",
        )
    fold_each(block, lambda place: _scale(block, place, chosen))


def _scale(block: FoldableBlock, place: Fold, options: Options) -> Tensor:
    inputs, weights = largest_magnitudes(block, place)
    if options.places == "norms" and not _is_norm(place):
        return torch.ones_like(inputs)
    known = (inputs > 0) & (weights > 0)
    scale = inputs.clamp(min=SMALLEST) ** options.alpha / weights.clamp(min=SMALLEST) ** (1 - options.alpha)
    return torch.where(known, scale.clamp(min=SMALLEST), 1.0)


def _is_norm(place: Fold) -> bool:
    return place.kind in ("norm", "offset norm")
