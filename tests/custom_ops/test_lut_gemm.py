# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeq_ops
from edgeq.formats.bcq import BcqFormat, BcqTensor, from_uniform
from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import Floats, dint_gemm_model, one_node_model, open_session, random_bcq, random_uniform
from tests.custom_ops.lut_reference import (
    Doubles,
    look_up,
    lut_gemm_attributes,
    lut_gemm_model,
    magnitude,
    multiply_bytes,
)

# Float32 rounding, relative to the sum of the magnitudes of all terms.
TOLERANCE = 2e-6


def activations(tokens: int, columns: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).standard_normal((tokens, columns), np.float32)


def exact(form: BcqFormat, tensor: BcqTensor, x: Floats) -> Doubles:
    return x.astype(np.float64) @ form.decode(tensor).astype(np.float64).T


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("group_size", [0, 32, 128, 256])
@pytest.mark.parametrize("table_bits", [8, 16])
def test_looked_up_products_of_every_format(isa: str, bits: int, group_size: int, table_bits: int) -> None:
    form = BcqFormat(bits, group_size)
    tensor = random_bcq(form, 70, 300)
    x = activations(2, 300)
    y = open_session(lut_gemm_model(form, tensor, table_bits)).run(None, {"X": x})[0]
    wanted = look_up(form, tensor, x, table_bits)
    assert (np.abs(y - wanted) / magnitude(form, tensor, x)).max() < TOLERANCE


@settings(max_examples=60)
@given(
    rows=st.integers(1, 140),
    columns=st.integers(1, 400),
    tokens=st.integers(1, 40),
    bits=st.integers(1, 4),
    group_size=st.sampled_from([0, 32, 64, 96, 128, 160, 256, 512]),
    table_bits=st.sampled_from([8, 16]),
    biased=st.booleans(),
)
def test_any_shape(
    rows: int, columns: int, tokens: int, bits: int, group_size: int, table_bits: int, biased: bool
) -> None:
    form = BcqFormat(bits, group_size)
    tensor = random_bcq(form, rows, columns, seed=rows)
    bias = activations(1, rows, seed=3)[0] if biased else None
    x = activations(tokens, columns, seed=columns)
    y = open_session(lut_gemm_model(form, tensor, table_bits, bias=bias)).run(None, {"X": x})[0]
    assert y.shape == (tokens, rows)
    # With many tokens weights are multiplied, not looked up: rounded to bytes, or in float32 arithmetic.
    products = [look_up(form, tensor, x, table_bits), exact(form, tensor, x)]
    if table_bits == 8:
        products.append(multiply_bytes(form, tensor, x))
    errors = [
        (np.abs(y - (0 if bias is None else bias) - wanted) / magnitude(form, tensor, x, bias)).max()
        for wanted in products
    ]
    assert min(errors) < TOLERANCE


@pytest.mark.parametrize(("table_bits", "limit"), [(8, 1e-4), (16, 1e-9)])
@pytest.mark.parametrize("tokens", [1, 5, 50])
def test_mean_squared_error(isa: str, table_bits: int, limit: float, tokens: int) -> None:
    form = BcqFormat(3, 128)
    tensor = random_bcq(form, 128, 1024)
    x = activations(tokens, 1024)
    y = open_session(lut_gemm_model(form, tensor, table_bits)).run(None, {"X": x})[0]
    wanted = exact(form, tensor, x)
    assert ((y - wanted) ** 2).sum() < limit * (wanted**2).sum()


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("symmetric", [True, False])
def test_uniform_weights_give_the_products_of_their_image(bits: int, symmetric: bool) -> None:
    uniform = UniformFormat(bits, 64, symmetric)
    tensor = random_uniform(uniform, 70, 300)
    form = BcqFormat(bits, 64)
    image = from_uniform(tensor, uniform)
    x = activations(3, 300)
    y = open_session(lut_gemm_model(form, image, 16)).run(None, {"X": x})[0]
    wanted = open_session(dint_gemm_model(uniform, tensor, 32)).run(None, {"X": x})[0]
    # Half a step of the tables for each run, and the offset's rounding to float16.
    assert (np.abs(y - wanted) / magnitude(form, image, x)).max() < 1e-4


def test_results_are_the_same_on_every_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    form = BcqFormat(3, 96)
    tensor, x = random_bcq(form, 130, 700), activations(2, 700)
    for table_bits in (8, 16):
        results = []
        for name in edgeq_ops.instruction_sets().available:
            monkeypatch.setenv("EDGEQ_ISA", name)
            results.append(open_session(lut_gemm_model(form, tensor, table_bits)).run(None, {"X": x})[0])
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("table_bits", [8, 16])
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("tokens", [1, 5, 130])
def test_results_do_not_depend_on_the_number_of_threads(table_bits: int, bits: int, tokens: int) -> None:
    form = BcqFormat(bits, 128)
    model = lut_gemm_model(form, random_bcq(form, 1030, 1024), table_bits)  # large enough to be divided
    x = activations(tokens, 1024)
    one, two = (open_session(model, threads).run(None, {"X": x})[0] for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("table_bits", [8, 16])
def test_leading_dimensions_are_tokens(table_bits: int) -> None:
    form = BcqFormat(2, 32)
    tensor, x = random_bcq(form, 33, 64), activations(6, 64)
    flat = open_session(lut_gemm_model(form, tensor, table_bits)).run(None, {"X": x})[0]
    for rank, shape in ((1, (64,)), (3, (2, 3, 64)), (4, (1, 3, 2, 64))):
        session = open_session(lut_gemm_model(form, tensor, table_bits, rank=rank))
        y = session.run(None, {"X": x[:1].reshape(shape) if rank == 1 else x.reshape(shape)})[0]
        assert y.shape == (*shape[:-1], 33)
        np.testing.assert_array_equal(y.reshape(-1, 33), flat[: y.size // 33])


@pytest.mark.parametrize("table_bits", [8, 16])
def test_no_tokens(table_bits: int) -> None:
    form = BcqFormat(2, 32)
    session = open_session(lut_gemm_model(form, random_bcq(form, 33, 64), table_bits, rank=3))
    assert session.run(None, {"X": np.zeros((2, 0, 64), np.float32)})[0].shape == (2, 0, 33)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("table_bits", [8, 16])
def test_a_token_that_is_not_finite_becomes_nan_and_no_other(isa: str, bad: float, table_bits: int) -> None:
    form = BcqFormat(2, 32)
    session = open_session(lut_gemm_model(form, random_bcq(form, 40, 100), table_bits))
    x = activations(3, 100)
    clean = session.run(None, {"X": x})[0]
    x[2, 99] = bad
    y = session.run(None, {"X": x})[0]
    assert np.isnan(y[2]).all()
    np.testing.assert_array_equal(y[:2], clean[:2])


@pytest.mark.parametrize("bits", [2, 4])
def test_activations_of_zero_give_the_bias(isa: str, bits: int) -> None:
    form = BcqFormat(bits, 32)
    bias = activations(1, 40)[0]
    for tokens in (2, 50):
        session = open_session(lut_gemm_model(form, random_bcq(form, 40, 100), 16, bias=bias))
        y = session.run(None, {"X": np.zeros((tokens, 100), np.float32)})[0]
        np.testing.assert_array_equal(y, np.broadcast_to(bias, y.shape))


@pytest.mark.parametrize(
    ("shape", "inferred"),
    [(["batch", "sequence", 96], ["batch", "sequence", 40]), (["tokens", "features"], ["tokens", 40]), ([96], [40])],
)
def test_dimensions_keep_their_names(shape: list[int | str], inferred: list[int | str]) -> None:
    form = BcqFormat(2, 32)
    packed = form.pack(random_bcq(form, 40, 96))
    model = one_node_model("LutGemm", {"X": shape}, {"W": packed}, lut_gemm_attributes(form, 40, 96, 8))
    assert open_session(model).get_outputs()[0].shape == inferred
