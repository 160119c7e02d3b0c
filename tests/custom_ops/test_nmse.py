# SPDX-License-Identifier: Apache-2.0
"""Normalised mean squared error of the operators on Gaussian data, against float64, on every instruction set."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgeq.methods import rtn
from edgeq.quantization.operators import matmul_operator
from edgeq.schemes import Scheme
from tests.custom_ops.graphs import gemm_model, open_session

ROWS, COLUMNS, TOKENS = 64, 512, 24
# What the project promises, by scheme: int8 activations or tables, bfloat16 and float activations, 16-bit tables.
LIMITS = {
    "w4g128": 1e-4,
    "w2g32-asym": 1e-4,
    "w8": 1e-4,
    "w4g128-dint": 1e-4,
    "w3g128-codebook": 1e-4,
    "w3g128-bcq": 1e-4,
    "w4a16g128": 1e-5,
    "w8a16-asym": 1e-5,
    "w3a16g64-codebook": 1e-5,
    "w4a32g128": 1e-9,
    "w8a32-asym": 1e-9,
    "w3a32g128-dint": 1e-9,
    "w3a32g64-codebook": 1e-9,
    # 16-bit tables, for one token and a few; the evenly spread levels of RTN are their worst case (docs/operators.md).
    "w2a32g128-bcq": 2e-9,
    "w3a32g128-bcq": 2e-9,
}


@cache
def problem(scheme: str) -> tuple[bytes, NDArray[np.float64]]:
    """A model of one product of a quantized Gaussian matrix, and the matrix that it stores."""
    parsed = Scheme.parse(scheme)
    assert parsed.weights is not None
    weight = torch.from_numpy(np.random.default_rng(2).standard_normal((ROWS, COLUMNS), np.float32) / 32)
    tensor = rtn.quantize(weight, parsed.weights, clip="minmax")
    operator, attributes = matmul_operator(parsed.weights, ROWS, COLUMNS, parsed.activation_bits)
    packed = parsed.weights.pack(tensor)  # type: ignore[arg-type]
    decoded = parsed.weights.decode(tensor)  # type: ignore[arg-type]
    return gemm_model(operator, packed, dict(attributes), None, 2), np.asarray(decoded, np.float64)


@pytest.mark.parametrize("scheme", LIMITS)
def test_error_against_float64(isa: str, scheme: str) -> None:
    model, weight = problem(scheme)
    session = open_session(model)
    x = np.random.default_rng(1).standard_normal((TOKENS, COLUMNS), np.float32)
    exact = x.astype(np.float64) @ weight.T
    for count in (1, 3, TOKENS):
        batches = [session.run(None, {"X": x[first : first + count]})[0] for first in range(0, TOKENS, count)]
        error = np.concatenate(batches) - exact
        assert (error**2).sum() / (exact**2).sum() < LIMITS[scheme], f"{count} tokens at once"
