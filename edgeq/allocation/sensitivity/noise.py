# SPDX-License-Identifier: Apache-2.0
"""How steeply the loss rises with the error of one layer, from Gaussian noise in its weights.

Source: HIGGS (arXiv 2411.17525), the linearity theorem: for small errors the loss rises by Σ α_l t_l², where t_l² is
the relative squared error of layer l. α_l is the slope of the change against t² over several sizes of noise. With
calibration the error is that of the layer's outputs instead, which also serves quantizers whose errors are no white
noise (GPTQ).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from edgeq.allocation.sensitivity.errors import output_energy, square_sum
from edgeq.calibration.statistics import LayerStatistics

LEVELS = (0.005, 0.01, 0.02, 0.04, 0.08)
"""Relative squared errors: from below 4 bits' to between 3 and 2 bits'."""


@dataclass(frozen=True)
class Slope:
    """Of a regression through the origin.

    Attributes:
        alpha: Change of the loss per relative squared error.
        residual: Root mean square of (measured − predicted) / predicted.
    """

    alpha: float
    residual: float


def measure_slope(
    weight: Tensor, statistics: LayerStatistics | None, loss_change: Callable[[Tensor], float], seed: int
) -> Slope:
    """Adds noise of each size in `LEVELS` to a layer.

    Args:
        weight: float32 ``[N, K]``.
        statistics: Of its inputs; without them the error is that of the weights.
        loss_change: Of the model with other weights in this layer.
        seed: Of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    changes = []
    for level in LEVELS:
        noise = torch.randn(weight.shape, generator=generator)
        unit = relative_error(noise, weight, statistics)
        changes.append(loss_change(weight + noise * (level / unit) ** 0.5))
    return fit(LEVELS, changes)


def fit(levels: tuple[float, ...], changes: list[float]) -> Slope:
    """The slope whose predictions are off by the least share: weighted with 1/t², so Σ change / Σ t²."""
    alpha = sum(changes) / sum(levels)
    shares = [change / (alpha * level) - 1 if alpha else 0.0 for level, change in zip(levels, changes, strict=True)]
    return Slope(alpha, (sum(share**2 for share in shares) / len(shares)) ** 0.5)


def relative_error(error: Tensor, weight: Tensor, statistics: LayerStatistics | None) -> float:
    """Squared error of the outputs, or without statistics of the weights, relative to what is there."""
    if statistics is None:
        return square_sum(error) / max(square_sum(weight), 1e-300)
    return output_energy(error, statistics) / output_energy(weight, statistics)
