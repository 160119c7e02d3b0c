# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, BcqTensor, UniformFormat, UniformTensor
from edgeq.formats.bcq import from_uniform
from tests.formats.strategies import bcq_tensors, uniform_tensors

SUBNORMAL_HALF_ULP = 2.0**-25


@given(bcq_tensors())
def test_unpack_inverts_pack(case: tuple[BcqFormat, BcqTensor]) -> None:
    fmt, tensor = case
    packed = fmt.pack(tensor)
    restored = fmt.unpack(packed, *tensor.codes.shape)
    assert packed.shape == (fmt.packed_size(*tensor.codes.shape),)
    np.testing.assert_array_equal(restored.codes, tensor.codes)
    np.testing.assert_array_equal(restored.coefficients, tensor.coefficients)
    np.testing.assert_array_equal(restored.offsets, tensor.offsets)


@given(bcq_tensors())
def test_decode_sums_signed_coefficients(case: tuple[BcqFormat, BcqTensor]) -> None:
    fmt, tensor = case
    rows, columns = tensor.codes.shape
    row, column = rows - 1, columns - 1
    group = column // fmt.group_size if fmt.group_size else 0
    signs = [1 if tensor.codes[row, column] >> plane & 1 else -1 for plane in range(fmt.bits)]
    wanted = sum(s * float(a) for s, a in zip(signs, tensor.coefficients[row, group], strict=True))
    assert fmt.decode(tensor)[row, column] == pytest.approx(wanted + float(tensor.offsets[row, group]), abs=1e-5)


@given(bcq_tensors())
def test_bytes_lie_where_the_specification_says(case: tuple[BcqFormat, BcqTensor]) -> None:
    fmt, tensor = case
    rows, columns = tensor.codes.shape
    packed = fmt.pack(tensor)
    padded = -(-columns // 32) * 32
    group_size = fmt.group_size or padded
    trailer = 128 * (fmt.bits + 1)
    tile_bytes = 8 * padded * fmt.bits + -(-padded // group_size) * trailer
    for row, k in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)):
        group = k // group_size
        start = row // 64 * tile_bytes + group * (8 * group_size * fmt.bits + trailer)
        lane = 2 * (row % 64) if row % 64 < 32 else 2 * (row % 64 - 32) + 1
        run, bit = divmod(k - group * group_size, 8)
        planes = [packed[start + (run * fmt.bits + plane) * 64 + lane] >> bit & 1 for plane in range(fmt.bits)]
        assert planes == [tensor.codes[row, k] >> plane & 1 for plane in range(fmt.bits)]


@given(uniform_tensors(bits=(2, 3, 4)))
def test_uniform_weights_are_binary_coded_weights(case: tuple[UniformFormat, UniformTensor]) -> None:
    """LUT-GEMM section 3: the identity is exact; float16 rounds the offset, and halves of subnormal scales."""
    fmt, tensor = case
    image = from_uniform(tensor, fmt)
    scales = tensor.scales.astype(np.float64)
    for plane in range(fmt.bits):
        wanted = scales * 2.0 ** (plane - 1)
        rounding = np.where(np.abs(wanted) < np.finfo(np.float16).smallest_normal, SUBNORMAL_HALF_ULP, 0.0)
        assert (np.abs(image.coefficients[:, :, plane] - wanted) <= rounding).all()
    error = np.abs(BcqFormat(fmt.bits, fmt.group_size).decode(image) - fmt.decode(tensor))
    half_ulp = np.spacing(np.abs(image.offsets)).astype(np.float32).max(axis=1, keepdims=True) / 2
    summation = (
        4 * np.finfo(np.float32).eps * np.abs(image.coefficients).astype(np.float32).sum(2).max(1, keepdims=True)
    )
    assert (error <= half_ulp + summation + SUBNORMAL_HALF_ULP).all()


@given(uniform_tensors(bits=(2, 3, 4)))
def test_symmetric_offset_is_minus_half_a_step(case: tuple[UniformFormat, UniformTensor]) -> None:
    fmt, tensor = case
    if fmt.symmetric:
        np.testing.assert_array_equal(from_uniform(tensor, fmt).offsets, -tensor.scales / 2)


def test_a_scale_whose_planes_overflow_float16_is_refused() -> None:
    tensor = UniformTensor(np.zeros((1, 32), np.uint8), np.array([[20000]], np.float16), None)
    with pytest.raises(EdgeqError, match="coefficients do not fit float16"):
        from_uniform(tensor, UniformFormat(4, symmetric=True))


@pytest.mark.parametrize("planes", [0, 5, 8])
def test_unsupported_planes_are_refused(planes: int) -> None:
    with pytest.raises(EdgeqError, match=f"unsupported bits, found {planes}, wanted 1 to 4 planes"):
        BcqFormat(planes)


def test_eight_bit_uniform_has_no_binary_coded_image() -> None:
    tensor = UniformTensor(np.zeros((1, 32), np.uint8), np.ones((1, 1), np.float16))
    with pytest.raises(EdgeqError, match="unsupported bits, found 8"):
        from_uniform(tensor, UniformFormat(8))


def test_wrong_packed_size_is_refused() -> None:
    with pytest.raises(EdgeqError, match="wrong size of packed weights"):
        BcqFormat(2, 32).unpack(np.zeros(5, np.uint8), 1, 1)
