# SPDX-License-Identifier: Apache-2.0
"""Optimal bits in closed form, where the damage of layer l at b bits is n_l α_l σ_l² 2^(−2b).

Stationarity of Σ n_l α_l σ_l² 2^(−2 b_l) under Σ n_l b_l = B makes α_l σ_l² 2^(−2 b_l) the same for all layers:

    b_l* = B/N + ½ log2(α_l σ_l² / G),    log2 G = (1/N) Σ n_l log2(α_l σ_l²)

(the high-rate derivation with the symbols of arXiv 2411.06084, whose own formula we could not compare). Four times the
sensitivity is worth one bit. Layers beyond the range of bits are clamped and the others share what is left (reverse
water-filling).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeq.errors import EdgeqError

Floats = NDArray[np.float64]
TINY = 1e-300  # of a layer whose weights do not matter at all


def optimal_bits(
    weights: ArrayLike, sensitivities: ArrayLike, average: float, lowest: float = -np.inf, highest: float = np.inf
) -> Floats:
    """Bits of each layer, float64 ``[layers]``, real numbers.

    Args:
        weights: n_l, weights of each layer ``[layers]``.
        sensitivities: α_l σ_l², at least 0, ``[layers]``.
        average: B/N, bits per weight over all layers.
        lowest: Least bits of a layer.
        highest: Most bits of a layer.

    Raises:
        EdgeqError: The average lies outside the range.
    """
    counts = np.asarray(weights, np.float64)
    levels = np.log2(np.maximum(np.asarray(sensitivities, np.float64), TINY))
    if not lowest <= average <= highest:
        raise EdgeqError("bits out of range", field="average bits", found=average, wanted=f"{lowest} to {highest}")
    shares = counts / counts.sum()
    if np.isinf(lowest) and np.isinf(highest):
        free: Floats = average + (levels - shares @ levels) / 2
        return free
    return np.clip((levels - _water_level(levels, shares, average, lowest, highest)) / 2, lowest, highest)


def _water_level(levels: Floats, shares: Floats, average: float, lowest: float, highest: float) -> float:
    """log2 θ at which the mean of clip(½ (log2 α σ² − log2 θ)) is the average: piecewise linear, so solved exactly."""
    ends = [levels - 2 * bits for bits in (lowest, highest) if np.isfinite(bits)]
    corners = np.unique(np.concatenate(ends))
    span = 2.0 * (np.ptp(levels) + abs(average) + 1)  # beyond the corners the mean is linear too
    corners = np.concatenate([[corners[0] - span], corners, [corners[-1] + span]])
    means = np.array([shares @ np.clip((levels - corner) / 2, lowest, highest) for corner in corners])
    return float(np.interp(-average, -means, corners))
