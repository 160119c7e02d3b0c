# SPDX-License-Identifier: Apache-2.0
"""HQQ, from its own package: half-quadratic quantization with float scales and offsets per group."""

from __future__ import annotations

import importlib.util

import numpy as np
import torch
from numpy.typing import NDArray

from competitors.base import Floats, Quantizer, UnsuitableError, per_group

BITS, GROUPS = (4, 3, 2), (128, 64, 32)


def hqq_quantizers() -> list[Quantizer]:
    """4, 3 and 2 bits in groups along the inputs; none if hqq is not installed.

    HQQ packs ten 3-bit codes into 32 bits (3.2 bits per weight); they are counted as 3 bits here.
    """
    if importlib.util.find_spec("hqq") is None:
        return []
    return [_quantizer(bits, group) for bits in BITS for group in GROUPS]


def _quantizer(bits: int, group: int) -> Quantizer:
    from hqq.core.quantize import Quantizer as Hqq

    def quantize(weight: Floats, _gram: NDArray[np.float64] | None) -> Floats:
        if weight.shape[1] % group:
            raise UnsuitableError(f"rows of {weight.shape[1]} weights are no whole groups of {group}")
        tensor = torch.from_numpy(np.ascontiguousarray(weight))
        codes, meta = Hqq.quantize(tensor, nbits=bits, group_size=group, axis=1, bitpack=False, device="cpu")
        for name in ("scale", "zero"):  # stored as float16
            meta[name] = meta[name].half().float()
        meta["compute_dtype"] = torch.float32
        decoded: Floats = Hqq.dequantize(codes, meta).float().numpy()
        return decoded

    return Quantizer("hqq", f"{bits} bits g{group}", "default", per_group(bits, group, 32), quantize)
