# SPDX-License-Identifier: Apache-2.0
"""Activations as the operators with int8 activations see them (docs/operators.md, DintGemm, Arithmetic)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.schemes import ActivationMode

BLOCK = 128  # inputs of a token that share a scale in mode "block" (docs/formats.md, activation blocks)
LARGEST = 127  # of the codes; -128 is not used: kernels negate codes


def fake_quantize(x: Tensor, mode: ActivationMode, group_size: int, scale: float | Tensor | None = None) -> Tensor:
    """The activations that DintGemm multiplies by: int8 codes times their scale.

    Args:
        x: float32 ``[..., K]``.
        mode: As `edgeq.schemes.Scheme.activation_mode`.
        group_size: Of the weights; blocks do not cross their groups. 0: one group per row.
        scale: The step in mode ``static``; larger activations than 127 steps are cut off.

    Returns:
        float32 ``[..., K]``. A NaN or an infinity makes the block, the token, or in mode ``static`` itself NaN.
        Gradients are those of the arithmetic, zero almost everywhere: training wants a straight-through estimator.

    Raises:
        EdgeqError: Mode ``static`` without a scale.
    """
    match mode:
        case "block":
            return _from_blocks(_symmetric(_to_blocks(x, group_size)), x.shape[-1], group_size)
        case "token":
            return _symmetric(x)
        case "token-asym":
            return _asymmetric(x)
        case "static":
            if scale is None:
                raise EdgeqError("static activation quantization has no scale", remedy="calibrate the layer")
            return _rounded(x, torch.as_tensor(scale, dtype=x.dtype))


def static_scale(absmax: Tensor) -> float:
    """The scale of mode ``static`` that cuts off nothing of what calibration saw.

    Args:
        absmax: Largest magnitude of each input channel, float32 ``[K]``.
    """
    return float(absmax.amax() / LARGEST)


def _symmetric(x: Tensor) -> Tensor:
    """A scale for each run of the last dimension, max|x|/127."""
    return _rounded(x, x.abs().amax(-1, keepdim=True) / LARGEST)


def _rounded(x: Tensor, scale: Tensor) -> Tensor:
    codes = (x / scale).round().clamp(-LARGEST, LARGEST)
    codes = torch.where(scale > 0, codes, torch.zeros_like(codes))
    return _spoiled(codes * scale, x, scale)


def _asymmetric(x: Tensor) -> Tensor:
    """Scale and zero point of each token from the range of its activations and 0, 255 codes -127 … 127."""
    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    # The halves are halved first: their difference may not overflow.
    scale = (high / 2 - low / 2) / LARGEST
    zero = torch.where(scale > 0, (-LARGEST - low / scale).round().clamp(-LARGEST, LARGEST), torch.zeros_like(scale))
    codes = ((x / scale).round() + zero).clamp(-LARGEST, LARGEST)
    codes = torch.where(scale > 0, codes - zero, torch.zeros_like(codes))
    return _spoiled(codes * scale, x, scale)


def _spoiled(values: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    """NaN where the scale or the activation is not finite."""
    return torch.where(torch.isfinite(scale) & torch.isfinite(x), values, torch.full_like(values, torch.nan))


def _to_blocks(x: Tensor, group_size: int) -> Tensor:
    """``[..., K]`` to ``[..., groups, blocks, block]``; what a group or block lacks is zero."""
    columns = x.shape[-1]
    group = min(group_size or columns, columns)
    return _divided(_divided(x, group), min(BLOCK, group))


def _from_blocks(blocks: Tensor, columns: int, group_size: int) -> Tensor:
    group = min(group_size or columns, columns)
    return blocks.flatten(-2)[..., :group].flatten(-2)[..., :columns]


def _divided(x: Tensor, size: int) -> Tensor:
    """The last dimension as runs of ``size``, the last one filled with zeros."""
    padded = torch.nn.functional.pad(x, (0, -x.shape[-1] % size))
    return padded.reshape(*x.shape[:-1], -1, size)
