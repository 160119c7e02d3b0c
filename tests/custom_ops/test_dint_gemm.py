# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import (
    dint_gemm_model,
    open_session,
    random_uniform,
    relative_error,
    round_activations,
    round_bfloat16,
    uniform_terms,
)

# Float32 rounding, relative to the sum of the magnitudes of the products.
TOLERANCE = 2e-6


def activations(tokens: int, columns: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((tokens, columns), np.float32)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group_size", [0, 32, 128])
@pytest.mark.parametrize("symmetric", [True, False])
def test_products_of_every_format(isa: str, bits: int, group_size: int, symmetric: bool) -> None:
    form = UniformFormat(bits, group_size, symmetric)
    tensor = random_uniform(form, 70, 300)
    x = activations(7, 300)
    weight = form.decode(tensor)
    y8 = open_session(dint_gemm_model(form, tensor, 8)).run(None, {"X": x})[0]
    y16 = open_session(dint_gemm_model(form, tensor, 16)).run(None, {"X": x})[0]
    y32 = open_session(dint_gemm_model(form, tensor, 32)).run(None, {"X": x})[0]
    assert relative_error(y8, round_activations(x, group_size), weight) < TOLERANCE
    assert relative_error(y16, round_bfloat16(x), weight) < TOLERANCE
    assert relative_error(y32, x, weight) < TOLERANCE


@settings(max_examples=60)
@given(
    rows=st.integers(1, 100),
    columns=st.integers(1, 400),
    tokens=st.integers(1, 20),
    bits=st.sampled_from([2, 3, 4, 8]),
    group_size=st.sampled_from([0, 32, 64, 96, 128, 160, 256, 512]),
    symmetric=st.booleans(),
    activation_bits=st.sampled_from([8, 16, 32]),
    biased=st.booleans(),
)
def test_any_shape(
    rows: int,
    columns: int,
    tokens: int,
    bits: int,
    group_size: int,
    symmetric: bool,
    activation_bits: int,
    biased: bool,
) -> None:
    form = UniformFormat(bits, group_size, symmetric)
    tensor = random_uniform(form, rows, columns, seed=rows)
    bias = activations(1, rows, seed=3)[0] if biased else None
    x = activations(tokens, columns, seed=columns)
    y = open_session(dint_gemm_model(form, tensor, activation_bits, bias=bias)).run(None, {"X": x})[0]
    seen = {8: round_activations(x, group_size), 16: round_bfloat16(x), 32: x}[activation_bits]
    assert y.shape == (tokens, rows)
    terms = None if activation_bits == 8 else uniform_terms(form, tensor)
    assert relative_error(y, seen, form.decode(tensor), bias, terms) < TOLERANCE


def test_int8_results_are_the_same_on_every_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import edgeq_ops

    form = UniformFormat(3, 96, symmetric=False)
    model = dint_gemm_model(form, random_uniform(form, 130, 700), 8)
    x = activations(29, 700)
    results = []
    for name in edgeq_ops.instruction_sets().available:
        monkeypatch.setenv("EDGEQ_ISA", name)
        results.append(open_session(model).run(None, {"X": x})[0])
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("activation_bits", [8, 16, 32])
def test_leading_dimensions_are_tokens(activation_bits: int) -> None:
    form = UniformFormat(4, 32)
    tensor = random_uniform(form, 33, 64)
    x = activations(6, 64)
    flat = open_session(dint_gemm_model(form, tensor, activation_bits)).run(None, {"X": x})[0]
    for rank, shape in ((1, (64,)), (3, (2, 3, 64)), (4, (1, 3, 2, 64))):
        session = open_session(dint_gemm_model(form, tensor, activation_bits, rank=rank))
        y = session.run(None, {"X": x[:1].reshape(shape) if rank == 1 else x.reshape(shape)})[0]
        # Float sums for one token are taken in another order than for several.
        np.testing.assert_allclose(
            y.reshape(-1, 33), flat[: y.size // 33], rtol=0, atol=0 if activation_bits == 8 else 1e-6
        )


@pytest.mark.parametrize("activation_bits", [8, 16, 32])
def test_no_tokens(activation_bits: int) -> None:
    form = UniformFormat(4, 32)
    session = open_session(dint_gemm_model(form, random_uniform(form, 33, 64), activation_bits, rank=3))
    assert session.run(None, {"X": np.zeros((2, 0, 64), np.float32)})[0].shape == (2, 0, 33)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation_bits", [8, 16])
def test_a_token_that_is_not_finite_becomes_nan_and_no_other(isa: str, bad: float, activation_bits: int) -> None:
    form = UniformFormat(4, 32, symmetric=False)
    codes = random_uniform(form, 40, 100)
    codes.codes[:, 99] = np.where(codes.zero_points[:, -1] == 3, 4, 3)  # no product of zero
    session = open_session(dint_gemm_model(form, codes, activation_bits))
    x = activations(5, 100)
    clean = session.run(None, {"X": x})[0]
    x[2, 99] = bad
    y = session.run(None, {"X": x})[0]
    assert np.isnan(y[2]).all() if activation_bits == 8 or np.isnan(bad) else not np.isfinite(y[2]).any()
    np.testing.assert_array_equal(np.delete(y, 2, axis=0), np.delete(clean, 2, axis=0))


def test_activations_of_zero_give_the_bias(isa: str) -> None:
    form = UniformFormat(4, 32)
    bias = activations(1, 40)[0]
    session = open_session(dint_gemm_model(form, random_uniform(form, 40, 100), 8, bias=bias))
    np.testing.assert_array_equal(session.run(None, {"X": np.zeros((2, 100), np.float32)})[0], np.stack([bias, bias]))
