# SPDX-License-Identifier: Apache-2.0
"""What stands for the derivative of the quantizer, which is 0 almost everywhere.

The forward pass is always the exact quantizer; these slopes only act backwards.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

Gradient = Literal["ste", "soft-clamp", "sigmoid"]
GRADIENTS: tuple[Gradient, ...] = get_args(Gradient)
CLAMP_SHARPNESS = 4.0  # per step: the clamp's edge is about one step wide
STAIRCASE_SHARPNESS = 4.0  # per step: the slope at a threshold is 1.3 times, in the middle of a level 0.55 times STE's


def slope(position: Tensor, top: int, gradient: Gradient) -> Tensor:
    """The derivative that a quantizer is given, of the level by the weight, both in steps.

    Args:
        position: Weights in steps above the lowest level, any shape; levels are 0 … top.
        top: The highest level.
        gradient: ``ste``: 1 inside the range, 0 outside (straight-through estimator, LSQ, arXiv 1902.08153);
            ``soft-clamp``: the derivative of a clamp with soft edges; ``sigmoid``: that times the derivative of a
            staircase of sigmoids in place of the steps (continuous approximations for QAT).
    """
    if gradient == "ste":
        return ((position >= 0) & (position <= top)).to(position.dtype)
    clamp = soft_clamp_slope(position, 0.0, float(top), CLAMP_SHARPNESS)
    return clamp if gradient == "soft-clamp" else clamp * staircase_slope(position, STAIRCASE_SHARPNESS)


def soft_clamp(x: Tensor, low: float, high: float, sharpness: float) -> Tensor:
    """``x·g(x−a)·g(b−x) + a·g(a−x) + b·g(x−b)``, g a sigmoid of slope ``sharpness``/4 at 0."""
    above, below = torch.sigmoid(sharpness * (x - low)), torch.sigmoid(sharpness * (high - x))
    return x * above * below + low * (1 - above) + high * (1 - below)


def soft_clamp_slope(x: Tensor, low: float, high: float, sharpness: float) -> Tensor:
    """The derivative of `soft_clamp`."""
    above, below = torch.sigmoid(sharpness * (x - low)), torch.sigmoid(sharpness * (high - x))
    rise, fall = sharpness * above * (1 - above), sharpness * below * (1 - below)
    return above * below + rise * (x * below - low) + fall * (high - x * above)


def staircase_slope(x: Tensor, sharpness: float) -> Tensor:
    """The derivative of a staircase with a sigmoid at every half, scaled so that a whole step rises by 1."""
    sigmoid = torch.sigmoid(sharpness * (x - x.floor() - 0.5))
    return sigmoid * (1 - sigmoid) * (sharpness / math.tanh(sharpness / 4))
