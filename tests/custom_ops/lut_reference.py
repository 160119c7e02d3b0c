# SPDX-License-Identifier: Apache-2.0
"""What LutGemm must compute, by its definition in docs/operators.md, and its one-node models."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.formats import layout
from edgeq.formats.bcq import BcqFormat, BcqTensor
from tests.custom_ops.graphs import Floats, gemm_model, round_activations

Doubles = NDArray[np.float64]


def lut_gemm_attributes(form: BcqFormat, rows: int, columns: int, table_bits: int) -> dict[str, Any]:
    """The attributes of a LutGemm node."""
    return {"K": columns, "N": rows, "bits": form.bits, "group_size": form.group_size, "table_bits": table_bits}


def lut_gemm_model(
    form: BcqFormat, tensor: BcqTensor, table_bits: int, *, bias: Floats | None = None, rank: int = 2
) -> bytes:
    """A LutGemm with symbolic leading dimensions."""
    rows, columns = tensor.codes.shape
    attributes = lut_gemm_attributes(form, rows, columns, table_bits)
    return gemm_model("LutGemm", form.pack(tensor), attributes, bias, rank)


def look_up(form: BcqFormat, tensor: BcqTensor, x: Floats, table_bits: int) -> Doubles:
    """X · Wᵀ through tables of quantized sums, ``[tokens, N]``: entries in float32, their products in float64."""
    rows, columns = tensor.codes.shape
    x = layout.pad(x.T, layout.round_up(columns, 32)).T
    codes = layout.pad(tensor.codes.T, x.shape[1]).T
    y = np.zeros((len(x), rows))
    for group, (group_start, group_end) in enumerate(layout.group_bounds(columns, form.group_size)):
        for start in range(group_start, group_end, 128):
            block = slice(start, min(start + 128, group_end))
            entries, scale = _tables(x[:, block], table_bits)
            for plane in range(form.bits):
                selected = _select(entries, codes[:, block] >> plane & np.uint8(1))
                y += selected * scale * tensor.coefficients[:, group, plane].astype(np.float64)
            y += x[:, block].astype(np.float64).sum(axis=1, keepdims=True) * tensor.offsets[:, group].astype(np.float64)
    return y


def _tables(x: Floats, table_bits: int) -> tuple[Doubles, Doubles]:
    """Entries ``[tokens, runs, 16]`` and scales ``[tokens, 1]`` of an activation block ``[tokens, inputs]``."""
    signs = ((np.arange(16)[:, None] >> np.arange(4)) & 1).astype(np.float32) * 2 - 1
    terms = x.reshape(len(x), -1, 1, 4) * signs
    sums = ((terms[..., 0] + terms[..., 1]) + terms[..., 2]) + terms[..., 3]
    largest = sums.max(axis=(1, 2))
    limit = np.float32(2 ** (table_bits - 1) - 1)
    factor = np.divide(limit, largest, out=np.zeros_like(largest), where=largest > 0)
    return np.rint(sums * factor[:, None, None]).astype(np.float64), (largest / limit).astype(np.float64)[:, None]


def _select(entries: Doubles, bits: NDArray[Any]) -> Doubles:
    """Sums over the runs of the entries that ``bits`` ``[N, inputs]`` select: ``[tokens, N]``."""
    nibbles = (bits.reshape(len(bits), -1, 4) << np.arange(4)).sum(axis=2)
    runs = range(nibbles.shape[1])
    total: Doubles = np.sum([entries[:, run, nibbles[:, run]] for run in runs], axis=0)
    return total


def multiply_bytes(form: BcqFormat, tensor: BcqTensor, x: Floats) -> Doubles:
    """X · Wᵀ with int8 activations and weights rounded to bytes, ``[tokens, N]``, in float64."""
    selected = np.take_along_axis(
        _round_levels(tensor).repeat(form.group_size or x.shape[1], axis=1)[:, : x.shape[1]],
        tensor.codes[..., None].astype(np.intp),
        axis=2,
    )
    y: Doubles = round_activations(x, form.group_size) @ selected[..., 0].T
    return y


def _round_levels(tensor: BcqTensor) -> Doubles:
    """The values of all codes, ``[N, G, 2^bits]``, rounded to a multiple of their group's scale."""
    coefficients = tensor.coefficients.astype(np.float32)
    bits = coefficients.shape[2]
    levels = tensor.offsets.astype(np.float32)[..., None].repeat(2**bits, axis=2)
    for plane in range(bits):
        levels += np.where(np.arange(2**bits) >> plane & 1, np.float32(1), np.float32(-1)) * coefficients[..., [plane]]
    scale = np.abs(levels).max(axis=2, keepdims=True) * (np.float32(1) / np.float32(127))
    scale = ((scale.view(np.uint32) + np.uint32(0xFFF)) & ~np.uint32(0xFFF)).view(np.float32)  # 12 significant bits
    rounded: Doubles = np.rint(levels * (np.float32(1) / scale)).astype(np.float64) * scale
    return rounded


def magnitude(form: BcqFormat, tensor: BcqTensor, x: Floats, bias: Floats | None = None) -> Doubles:
    """Sum of the magnitudes of all terms, ``[tokens, N]``: what float32 rounding is relative to."""
    parts = np.abs(tensor.coefficients.astype(np.float64)).sum(axis=2) + np.abs(tensor.offsets.astype(np.float64))
    total: Doubles = np.abs(x.astype(np.float64)) @ layout.expand_groups(parts, x.shape[1], form.group_size).T
    return total if bias is None else total + np.abs(bias)
