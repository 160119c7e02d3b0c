# SPDX-License-Identifier: Apache-2.0
"""The scaling factor γ of a uniform grid: Δ(γ) = γ·max|w|/(2^(b−1) − 1), and the γ with the least error.

γ is called so after "Optimizing LLMs through Quantization" (arXiv 2411.06084). Its text is not at hand; the definition
is ours. For asymmetric formats it is γ·(max − min)/(2^b − 1). In terms of the other options of a range, a symmetric
format of b bits has γ = β·(2^(b−1) − 1)/2^(b−1) times the ratio that ``clip`` found, since its 2^b codes reach one
level further than ±(2^(b−1) − 1), on the side of the larger tail; an asymmetric one has γ = β times that ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from edgeq.formats import DintTensor, Format, UniformFormat, UniformTensor
from edgeq.formats.layout import expand_groups, group_count
from edgeq.methods.grids.base import GAMMAS

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

Scope = Literal["group", "channel", "tensor"]
Steps = UniformTensor | DintTensor


def steps_at_one(weight: Tensor, fmt: UniformFormat) -> Tensor:
    """Δ(1) of every group: ``[N, K]`` to float32 ``[N, G]``."""
    groups = group_count(weight.shape[1], fmt.group_size)
    size = fmt.group_size or weight.shape[1]
    parts = pad(weight.float(), (0, groups * size - weight.shape[1])).reshape(len(weight), groups, size)
    codes: int = 2**fmt.bits
    if fmt.symmetric:
        return parts.abs().amax(2) / (codes // 2 - 1)
    low, high = parts.amin(2).clamp(max=0), parts.amax(2).clamp(min=0)
    return (high - low) / (codes - 1)


def search(
    weight: Tensor, fmt: Format, statistics: LayerStatistics | None, scope: Scope, quantize: Callable[[float], Steps]
) -> Steps:
    """The matrix with the γ of `GAMMAS` that has the least error for each group, row or the whole.

    The error is that of the layer's outputs over the calibration tokens, ‖X(Ŵ − W)ᵀ‖²; for a γ per group without what
    groups have in common. Without statistics it is ‖Ŵ − W‖².

    Args:
        weight: float32 ``[N, K]``.
        fmt: The number format.
        statistics: Inputs of the layer.
        scope: What shares a γ.
        quantize: Quantizes the matrix with one γ for all.
    """
    best = quantize(GAMMAS[0])
    least = _errors(best, weight, fmt, statistics, scope)
    for gamma in GAMMAS[1:]:
        tensor = quantize(gamma)
        errors = _errors(tensor, weight, fmt, statistics, scope)
        best = _choose(errors < least, tensor, best, fmt)
        least = torch.minimum(errors, least)
    return best


def _errors(tensor: Steps, weight: Tensor, fmt: Format, statistics: LayerStatistics | None, scope: Scope) -> Tensor:
    """Errors of what shares a γ, for each group, float64 ``[N, G]``."""
    error = torch.from_numpy(fmt.decode(tensor)) - weight.float()  # type: ignore[arg-type]  # the format's own tensor
    rows, groups = tensor.scales.shape
    if scope == "group":
        return _group_errors(error, fmt.group_size or weight.shape[1], statistics)
    by_row = _weighted(error, error if statistics is None else error @ statistics.gram.float())
    total = by_row if scope == "channel" else by_row.sum(0, keepdim=True)
    return total.expand(rows, groups)


def _group_errors(error: Tensor, size: int, statistics: LayerStatistics | None) -> Tensor:
    parts = []
    for start in range(0, error.shape[1], size):
        part = error[:, start : start + size]
        if statistics is None:
            parts.append(_weighted(part, part))
        else:
            gram = statistics.gram[start : start + size, start : start + size].float()
            parts.append(_weighted(part, part @ gram))
    return torch.cat(parts, 1)


def _weighted(error: Tensor, image: Tensor) -> Tensor:
    return (error * image).sum(1, keepdim=True, dtype=torch.float64)


def _choose(chosen: Tensor, left: Steps, right: Steps, fmt: Format) -> Steps:
    """Groups of ``left`` where ``chosen`` bool ``[N, G]`` is set, else those of ``right``."""
    groups = chosen.numpy()
    weights = expand_groups(groups, left.codes.shape[1], fmt.group_size)
    zeros = None
    if left.zero_points is not None and right.zero_points is not None:
        zeros = np.where(groups, left.zero_points, right.zero_points)
    codes = np.where(weights, left.codes, right.codes)
    return replace(right, codes=codes, scales=np.where(groups, left.scales, right.scales), zero_points=zeros)
