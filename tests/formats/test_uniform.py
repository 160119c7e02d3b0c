# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from edgeq.errors import EdgeqError
from edgeq.formats import UniformFormat, UniformTensor
from tests.formats.strategies import uniform_tensors


@given(uniform_tensors())
def test_unpack_inverts_pack(case: tuple[UniformFormat, UniformTensor]) -> None:
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


@given(uniform_tensors())
def test_decode_is_scale_times_centred_code(case: tuple[UniformFormat, UniformTensor]) -> None:
    fmt, tensor = case
    rows, columns = tensor.codes.shape
    decoded = fmt.decode(tensor)
    for row, column in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)):
        group = column // fmt.group_size if fmt.group_size else 0
        zero = 2 ** (fmt.bits - 1) if tensor.zero_points is None else int(tensor.zero_points[row, group])
        assert decoded[row, column] == np.float32(tensor.scales[row, group]) * (int(tensor.codes[row, column]) - zero)


def _lane_code(packed: np.ndarray, fmt: UniformFormat, columns: int, row: int, k: int) -> int:
    """The code of one weight, read as docs/formats.md says, independently of the packer."""
    padded = -(-columns // 32) * 32
    group_size = fmt.group_size or padded
    groups = -(-padded // group_size)
    trailer = 64 + (0 if fmt.symmetric else 32)
    tile_bytes = 32 * padded * fmt.bits // 8 + groups * trailer
    group, block, lane = k // group_size, row % 32 // 16, row % 16
    start = row // 32 * tile_bytes + group * (32 * group_size * fmt.bits // 8 + trailer)
    fields = {2: 4, 3: 8, 4: 2, 8: 1}[fmt.bits]
    chunk, within = divmod(k - group * group_size, 4 * fields)
    field, j = divmod(within, 4)
    lines = 3 if fmt.bits == 3 else 1
    byte = start + (chunk * 2 + block) * 64 * lines + 4 * lane + j
    if fmt.bits != 3:
        return int(packed[byte]) >> (fmt.bits * field) & (2**fmt.bits - 1)
    a, b, c = (int(packed[byte + 64 * line]) for line in range(3))
    d = a >> 6 | b >> 6 << 2 | c >> 6 << 4
    return (a, b, c, d)[field // 2] >> 3 * (field % 2) & 7


@given(uniform_tensors())
def test_bytes_lie_where_the_specification_says(case: tuple[UniformFormat, UniformTensor]) -> None:
    fmt, tensor = case
    rows, columns = tensor.codes.shape
    packed = fmt.pack(tensor)
    for row, k in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2), (rows - 1, 0), (0, columns - 1)):
        assert _lane_code(packed, fmt, columns, row, k) == tensor.codes[row, k]


def test_padding_is_zero_bytes() -> None:
    fmt = UniformFormat(4)
    packed = fmt.pack(UniformTensor(np.full((1, 1), 15, np.uint8), np.ones((1, 1), np.float16)))
    assert packed[0] == 15
    assert np.count_nonzero(packed) == 2  # the code, and the high byte of the scale


def test_packed_size_matches_the_formula() -> None:
    assert UniformFormat(3, 128, symmetric=False).packed_size(33, 300) == 2 * (32 * 320 * 3 // 8 + 3 * 96)


@pytest.mark.parametrize("bits", [0, 1, 5, 6, 7, 16, -4])
def test_unsupported_bits_are_refused(bits: int) -> None:
    with pytest.raises(EdgeqError, match=f"unsupported bits, found {bits}, wanted 2, 3, 4 or 8"):
        UniformFormat(bits)


@pytest.mark.parametrize("group_size", [-32, 1, 16, 48, 100])
def test_unsupported_group_sizes_are_refused(group_size: int) -> None:
    with pytest.raises(EdgeqError, match=f"unsupported group size, found {group_size}"):
        UniformFormat(4, group_size)


def test_wrong_packed_size_is_refused() -> None:
    with pytest.raises(EdgeqError, match=r"wrong size of packed weights, found uint8\[5\], wanted uint8\[576\]"):
        UniformFormat(4).unpack(np.zeros(5, np.uint8), 1, 1)
