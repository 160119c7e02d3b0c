# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.formats import DintFormat, DintTensor, UniformFormat, UniformTensor
from edgeq.formats.layout import expand_groups
from edgeq.schemes import Scheme
from tests.formats.strategies import dint_tensors


@given(dint_tensors())
def test_unpack_inverts_pack(case: tuple[DintFormat, DintTensor]) -> None:
    fmt, tensor = case
    packed = fmt.pack(tensor)
    restored = fmt.unpack(packed, *tensor.codes.shape)
    assert packed.shape == (fmt.packed_size(*tensor.codes.shape),)
    np.testing.assert_array_equal(restored.codes, tensor.codes)
    np.testing.assert_array_equal(restored.scales, tensor.scales)
    if tensor.zero_points is None:
        assert restored.zero_points is None
    else:
        np.testing.assert_array_equal(restored.zero_points, tensor.zero_points)


@given(dint_tensors())
def test_the_bytes_are_those_of_the_uniform_format(case: tuple[DintFormat, DintTensor]) -> None:
    fmt, tensor = case
    uniform = UniformFormat(fmt.bits, fmt.group_size, fmt.symmetric)
    expected = uniform.pack(UniformTensor(tensor.codes, tensor.scales, tensor.zero_points))
    np.testing.assert_array_equal(fmt.pack(tensor), expected)


@given(dint_tensors())
def test_decode_weight_by_weight(case: tuple[DintFormat, DintTensor]) -> None:
    fmt, tensor = case
    decoded = fmt.decode(tensor)
    rows, columns = tensor.codes.shape
    for row, column in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)):
        group = column // fmt.group_size if fmt.group_size else 0
        zero = {3: 2, 4: 6}[fmt.bits] if tensor.zero_points is None else int(tensor.zero_points[row, group])
        code = int(tensor.codes[row, column])
        part = 1 / fmt.denominator
        steps = {2**fmt.bits - 2: part, 2**fmt.bits - 1: -part}.get(code, code - zero)
        assert decoded[row, column] == np.float32(tensor.scales[row, group]) * np.float32(steps)


@given(dint_tensors(), st.integers(0, 2**32 - 1))
def test_encode_finds_the_nearest_level(case: tuple[DintFormat, DintTensor], seed: int) -> None:
    fmt, tensor = case
    shape = tensor.codes.shape
    weights = np.random.default_rng(seed).normal(scale=2, size=shape).astype(np.float32)
    error = np.abs(fmt.decode(fmt.encode(weights, tensor.scales, tensor.zero_points)).astype(np.float64) - weights)
    for code in range(2**fmt.bits):
        level = fmt.decode(DintTensor(np.full(shape, code, np.uint8), tensor.scales, tensor.zero_points))
        slack = 1e-7 * np.abs(weights)  # a tie may fall either way in floating point
        assert (error <= np.abs(level.astype(np.float64) - weights) + slack).all()


@given(dint_tensors())
def test_encode_inverts_decode(case: tuple[DintFormat, DintTensor]) -> None:
    fmt, tensor = case
    decoded = fmt.decode(tensor)
    again = fmt.decode(fmt.encode(decoded, tensor.scales, tensor.zero_points))
    usable = expand_groups(tensor.scales, decoded.shape[1], fmt.group_size) != 0
    np.testing.assert_array_equal(again[usable], decoded[usable])


@pytest.mark.parametrize(
    ("text", "fmt"), [("w4-dint", DintFormat(4)), ("w3g64-dint0.25", DintFormat(3, 64, denominator=4))]
)
def test_scheme(text: str, fmt: DintFormat) -> None:
    assert Scheme.parse(text) == Scheme(fmt)
    assert str(Scheme.parse(text)) == text
    assert str(Scheme.parse(f"{text}-asym")) == f"{text}-asym"


@pytest.mark.parametrize("bits", [2, 8])
def test_bits(bits: int) -> None:
    with pytest.raises(EdgeqError, match="unsupported bits, found"):
        DintFormat(bits)


def test_denominator() -> None:
    with pytest.raises(EdgeqError, match="unsupported denominator, found 3, wanted 2, 4 or 8"):
        DintFormat(4, denominator=3)


@given(st.sampled_from((2, 4, 8)), st.sampled_from((3, 4)), st.booleans())
def test_level_set(denominator: int, bits: int, symmetric: bool) -> None:
    fmt = DintFormat(bits, 0, symmetric, denominator)
    zero = None if symmetric else np.zeros((1, 1), np.uint8)  # a range on one side of zero
    tensor = DintTensor(np.arange(2**bits, dtype=np.uint8)[None], np.ones((1, 1), np.float16), zero)
    least = -(2 ** (bits - 1) - 2) if symmetric else 0
    wholes = range(least, least + 2**bits - 2)
    assert sorted(fmt.decode(tensor)[0]) == sorted([*wholes, 1 / denominator, -1 / denominator])
