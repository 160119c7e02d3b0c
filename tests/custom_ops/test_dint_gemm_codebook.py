# SPDX-License-Identifier: Apache-2.0
"""DintGemm and QuantGather on codebook weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.formats.codebook import CodebookFormat
from tests.custom_ops.graphs import (
    dint_gemm_attributes,
    dint_gemm_model,
    gemm_model,
    one_node_model,
    open_session,
    random_codebook,
    relative_error,
    round_activations,
)

# Float32 rounding, relative to the sum of the magnitudes of the products.
TOLERANCE = 2e-6
BITS = st.sampled_from([2, 3, 4])
GROUP_SIZES = st.sampled_from([0, 32, 64, 96, 128, 160, 256, 512])


def activations(tokens: int, columns: int, seed: int = 1) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((tokens, columns), np.float32)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("group_size", [0, 32, 128])
@pytest.mark.parametrize("tokens", [1, 7])
def test_products_of_every_width(isa: str, bits: int, group_size: int, tokens: int) -> None:
    form = CodebookFormat(bits, group_size)
    tensor = random_codebook(form, 70, 300)
    x, weight = activations(tokens, 300), form.decode(tensor)
    y8 = open_session(dint_gemm_model(form, tensor, 8)).run(None, {"X": x})[0]
    y32 = open_session(dint_gemm_model(form, tensor, 32)).run(None, {"X": x})[0]
    assert relative_error(y8, round_activations(x, group_size), weight) < TOLERANCE
    assert relative_error(y32, x, weight) < TOLERANCE


@settings(max_examples=60)
@given(
    rows=st.integers(1, 100),
    columns=st.integers(1, 400),
    tokens=st.integers(1, 20),
    bits=BITS,
    group_size=GROUP_SIZES,
    activation_bits=st.sampled_from([8, 32]),
    biased=st.booleans(),
)
def test_any_shape(
    rows: int, columns: int, tokens: int, bits: int, group_size: int, activation_bits: int, biased: bool
) -> None:
    form = CodebookFormat(bits, group_size)
    tensor = random_codebook(form, rows, columns, seed=rows)
    bias = activations(1, rows, seed=3)[0] if biased else None
    x = activations(tokens, columns, seed=columns)
    y = open_session(dint_gemm_model(form, tensor, activation_bits, bias=bias), threads=2).run(None, {"X": x})[0]
    seen = round_activations(x, group_size) if activation_bits == 8 else x
    assert y.shape == (tokens, rows)
    assert relative_error(y, seen, form.decode(tensor), bias) < TOLERANCE


def test_int8_results_are_the_same_on_every_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import edgeq_ops

    form = CodebookFormat(4, 96)
    model = dint_gemm_model(form, random_codebook(form, 130, 700), 8)
    x = activations(29, 700)
    results = []
    for name in edgeq_ops.instruction_sets().available:
        monkeypatch.setenv("EDGEQ_ISA", name)
        session = open_session(model)
        results += [
            session.run(None, {"X": x})[0],
            np.concatenate([session.run(None, {"X": row[None]})[0] for row in x]),
        ]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@settings(max_examples=40)
@given(rows=st.integers(1, 100), columns=st.integers(1, 300), bits=BITS, group_size=GROUP_SIZES)
def test_gathered_rows(rows: int, columns: int, bits: int, group_size: int) -> None:
    form = CodebookFormat(bits, group_size)
    tensor = random_codebook(form, rows, columns)
    indices = np.random.default_rng(0).integers(0, rows, (2, 5))
    attributes = dint_gemm_attributes(form, rows, columns, 8)
    del attributes["activation_bits"]
    model = one_node_model("QuantGather", {"indices": ["a", "b"]}, {"W": form.pack(tensor)}, attributes)
    found = open_session(model).run(None, {"indices": indices})[0]
    np.testing.assert_array_equal(found, form.decode(tensor)[indices])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 8}, "attribute bits: found 8, wanted 2 to 4"),
        ({"has_zero_point": 1}, "attribute has_zero_point: found 1, wanted 0 to 0"),
        ({"bits": 3}, "input W: found shape ["),
        ({"format": "uniform"}, "input W: found shape ["),
        ({"format": "book"}, "attribute format: found 'book', wanted 'uniform'"),
    ],
)
def test_attributes(change: dict[str, Any], message: str) -> None:
    form = CodebookFormat(4, 32)
    attributes = dint_gemm_attributes(form, 40, 96, 8) | change
    packed = form.pack(random_codebook(form, 40, 96))
    with pytest.raises(Exception, match=r"com\.edgeq\.DintGemm node 'head': ") as caught:
        open_session(gemm_model("DintGemm", packed, attributes, None, 2))
    assert message in str(caught.value)
