# SPDX-License-Identifier: Apache-2.0
"""Entropy-constrained scalar quantization: coarser steps, and codes that are chosen with an eye on what they cost.

Source: entropy-constrained scalar quantization (Chou, Lookabaugh and Gray, 1989): each weight takes the code of least
d + λ·bits, d its squared error and bits the length of the code under the histogram of all codes, in turn with the
histogram. λ = 0, the default, rounds to nearest: at high rates nothing is better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgeq.formats import Format, QuantizedTensor
from edgeq.methods.rate_search import SearchOptions, reach_target
from edgeq.methods.steps import StepFamily

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics


@dataclass(frozen=True)
class Options(SearchOptions):
    """Options of entropy-constrained scalar quantization."""


def quantize(
    weight: Tensor, fmt: Format, statistics: LayerStatistics | None = None, options: Options | None = None
) -> QuantizedTensor:
    """Quantizes ``[N, K]`` to the rate asked for.

    Args:
        weight: Floating point ``[N, K]``.
        fmt: A uniform symmetric format.
        statistics: Inputs of the layer; errors then count by the mean square of their channel.
        options: Options of the method.

    Raises:
        EdgeqError: As `StepFamily.of` and `StepFamily.code_bits`.
    """
    options = options or Options()
    weight = weight.float()
    family = StepFamily.of(weight, fmt, options)
    shares = None if statistics is None else relative_importance(statistics.diagonal)

    def encode(steps: Tensor, lengths: Tensor, slope: float) -> Tensor:
        size = family.fmt.group_size or weight.shape[1]
        parts = zip(weight.split(size, 1), steps.split(1, 1), strict=True)  # type: ignore[no-untyped-call]
        scaled = torch.cat([part / torch.where(step > 0, step, 1.0) for part, step in parts], 1)
        return cheap_codes(scaled, lengths, slope, shares, family.fmt.bits)

    return reach_target(family, statistics, options, encode)


def cheap_codes(scaled: Tensor, lengths: Tensor, slope: float, shares: Tensor | None, bits: int) -> Tensor:
    """Codes of least squared error + λ·bits among the nearest one, the next one towards zero, and zero.

    Args:
        scaled: Weights in steps, float32 ``[N, K]``.
        lengths: Bits of each code, float32 ``[256]``.
        slope: λ.
        shares: Importance of the errors of each column, float32 ``[K]``; by default all alike.
        bits: Width of the codes.

    Returns:
        uint8 ``[N, K]``.
    """
    half = 2 ** (bits - 1)
    best = scaled.round().clamp_(-half, half - 1)
    if slope == 0:
        return best.add_(half).to(torch.uint8)
    nearest, least = best, _cost(scaled, best, lengths, slope, shares, half)
    for other in (nearest - nearest.sign(), torch.zeros_like(nearest)):
        cost = _cost(scaled, other, lengths, slope, shares, half)
        best, least = torch.where(cost < least, other, best), torch.minimum(cost, least)
    return best.add(half).to(torch.uint8)


def relative_importance(importance: Tensor) -> Tensor:
    """Importances over their mean, float32 ``[K]``; ones where nothing matters."""
    mean = importance.mean()
    return (importance / mean).float() if mean > 0 else torch.ones_like(importance, dtype=torch.float32)


def _cost(scaled: Tensor, codes: Tensor, lengths: Tensor, slope: float, shares: Tensor | None, half: int) -> Tensor:
    error = (scaled - codes).square_()
    if shares is not None:
        error *= shares
    return error.add_(lengths[codes.long() + half], alpha=slope)
