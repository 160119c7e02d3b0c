# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's quantizers for MatMulNBits: block-wise (its C++), RTN, k-quant, GPTQ and HQQ.

Its tool drives RTN, k-quant and GPTQ at 4 bits only, though their functions take any; 3 and 2 bits show the algorithm.
MatMulNBits itself has no 3-bit weights. GPTQ's result is rounded once more by the group, as the tool does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from competitors.base import Floats, Quantizer, UnsuitableError, per_group

BITS, GROUPS = (4, 3, 2), (128, 64, 32)
Gram = NDArray[np.float64] | None


def onnxruntime_quantizers() -> list[Quantizer]:
    """Every algorithm, with a scale and a zero point per group."""
    found = []
    for bits in BITS:
        for group in GROUPS:
            for name, quantize in _algorithms(bits, group):
                # HQQ's zero points are floats.
                stored = per_group(bits, group, 16 + (16 if name == "hqq" else bits))
                found.append(
                    Quantizer("onnxruntime", f"{bits} bits g{group}", name, stored, quantize, calibrated=name == "gptq")
                )
    return found


def _algorithms(bits: int, group: int) -> list[tuple[str, Callable[[Floats, Gram], Floats]]]:
    return [
        ("rtn", lambda weight, _: _rtn(weight, bits, group)),
        ("k_quant", lambda weight, _: _k_quant(weight, bits, group)),
        ("gptq", lambda weight, gram: _gptq(weight, gram, bits, group)),
        ("hqq", lambda weight, _: _hqq(weight, bits, group)),
    ]


def _rtn(weight: Floats, bits: int, group: int) -> Floats:
    from onnxruntime.quantization.neural_compressor.weight_only import qdq_tensor

    _check(weight, group)
    return np.asarray(qdq_tensor(weight, bits, group, scheme="asym", dtype="uint"), np.float32)


def _k_quant(weight: Floats, bits: int, group: int) -> Floats:
    from onnxruntime.quantization.neural_compressor.weight_only import quant_tensor_k_quant_cpu

    _check(weight, group)
    codes, scale, zero = quant_tensor_k_quant_cpu(weight, bits, group)
    return (scale * (codes - zero.astype(np.float64))).reshape(weight.shape).astype(np.float32)


def _gptq(weight: Floats, gram: Gram, bits: int, group: int) -> Floats:
    from onnxruntime.quantization.neural_compressor.weight_only import gptq

    _check(weight, group)
    assert gram is not None
    solved = gptq(weight.T.astype(np.float64).copy(), 2 * gram, num_bits=bits, group_size=group, scheme="asym")
    return _rtn(np.ascontiguousarray(solved.T, np.float32), bits, group)


def _hqq(weight: Floats, bits: int, group: int) -> Floats:
    from onnxruntime.quantization.matmul_nbits_quantizer import HQQWeightOnlyQuantConfig, HQQWeightOnlyQuantizer

    _check(weight, group)
    quantizer = HQQWeightOnlyQuantizer(HQQWeightOnlyQuantConfig(block_size=group, bits=bits))
    codes, scale, zero = quantizer.quantize_internal(torch.from_numpy(weight.copy()), bits=bits, group_size=group)
    scale, zero = (part.repeat_interleave(group, 1) for part in (scale, zero))
    return ((codes - zero) * scale).numpy().astype(np.float32)


def _check(weight: Floats, group: int) -> None:
    if weight.shape[1] % group:
        raise UnsuitableError(f"rows of {weight.shape[1]} weights are no whole groups of {group}")
