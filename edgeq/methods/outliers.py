# SPDX-License-Identifier: Apache-2.0
"""Dense and sparse: the few weights that widen the grids or matter most are kept apart in float16.

Source: SqueezeLLM (arXiv 2306.07629), section 4.2: weights beyond a multiple (1.5 to 2) of the interquartile range,
about 0.4 % of a matrix, and the 0.05 % of the highest sensitivity. The paper chooses the multiple to reach a share;
here the share is given itself. Its sensitivity is the Fisher information; where there is none, the mean square of the
input times the squared weight, our choice, stands for it: what setting the weight to zero would cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.methods.option_types import ProperFraction
from edgeq.methods.options import MethodOptions
from edgeq.quantization.corrections import Sparse

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of the split.

    Attributes:
        far: Share of the weights that lie farthest from the median.
        sensitive: Share that has the highest sensitivity of the others; without calibration none are chosen for it.
    """

    far: ProperFraction = 0.004
    sensitive: ProperFraction = 0.0005


def split(weight: Tensor, statistics: LayerStatistics | None, options: Options | None = None) -> tuple[Tensor, Sparse]:
    """A matrix without its outliers, and its outliers.

    Args:
        weight: Floating point ``[N, K]``.
        statistics: Inputs of the layer.
        options: Options of the method.

    Returns:
        float32 ``[N, K]`` with zeros in place of the outliers, and the outliers in float16.

    Raises:
        EdgeqError: A share is out of range, or an outlier does not fit float16.
    """
    options = options or Options()
    weight = weight.float()
    chosen = _largest((weight - weight.median()).abs(), options.far, "far")
    if statistics is not None:
        sensitivity = _sensitivity(weight, statistics).masked_fill(chosen, -1.0)
        chosen |= _largest(sensitivity, options.sensitive, "sensitive")
    return weight.masked_fill(chosen, 0.0), Sparse.from_dense(torch.where(chosen, weight, 0.0))


def _sensitivity(weight: Tensor, statistics: LayerStatistics) -> Tensor:
    if statistics.fisher is not None:
        return statistics.fisher
    return statistics.diagonal.float() * weight.square()


def _largest(values: Tensor, share: float, field: str) -> Tensor:
    """A mask of the given share of the values, the largest ones."""
    if not 0 <= share < 1:
        raise EdgeqError("share out of range", field=f"outliers.{field}", found=share, wanted="at least 0, below 1")
    mask = torch.zeros(values.numel(), dtype=torch.bool)
    mask[values.flatten().topk(round(share * values.numel())).indices] = True
    return mask.reshape(values.shape)
