# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.formats import CodebookFormat, CodebookTensor
from edgeq.formats.codebook import nearest_levels
from edgeq.schemes import Scheme
from tests.formats.strategies import codebook_tensors


@given(codebook_tensors())
def test_unpack_inverts_pack(case: tuple[CodebookFormat, CodebookTensor]) -> None:
    fmt, tensor = case
    packed = fmt.pack(tensor)
    restored = fmt.unpack(packed, *tensor.codes.shape)
    assert packed.shape == (fmt.packed_size(*tensor.codes.shape),)
    np.testing.assert_array_equal(restored.codes, tensor.codes)
    np.testing.assert_array_equal(restored.levels, tensor.levels)
    np.testing.assert_array_equal(restored.scales, tensor.scales)


@given(codebook_tensors())
def test_decode_looks_up_the_level_of_the_group(case: tuple[CodebookFormat, CodebookTensor]) -> None:
    fmt, tensor = case
    rows, columns = tensor.codes.shape
    decoded = fmt.decode(tensor)
    for row, column in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)):
        group = column // fmt.group_size if fmt.group_size else 0
        level = int(tensor.levels[row, group, tensor.codes[row, column]])
        assert decoded[row, column] == np.float32(tensor.scales[row, group]) * level


def _read(packed: np.ndarray, fmt: CodebookFormat, columns: int, row: int, k: int) -> tuple[int, int, np.float16]:
    """Code, level and scale of one weight, read as docs/formats.md says, independently of the packer."""
    padded = -(-columns // 32) * 32
    group_size, count = fmt.group_size or padded, 2**fmt.bits
    header = 32 * count + 64
    tile_bytes = 32 * padded * fmt.bits // 8 + -(-padded // group_size) * header
    group, within = divmod(k, group_size)
    start = row // 32 * tile_bytes + group * (32 * group_size * fmt.bits // 8 + header)
    block, lane = row % 32 // 16, row % 16
    scale = packed[start + 32 * count + 2 * (row % 32) :][:2].view(np.float16)[0]
    codes = start + header
    if fmt.bits == 4:
        place = 64 * (lane % 4) + 16 * (lane // 4)
        chunk, offset = divmod(within, 32)
        byte = int(packed[codes + (2 * chunk + block) * 256 + place + offset % 16])
        code, table = byte >> 4 * (offset // 16) & 15, place
    else:
        chunk, offset = divmod(within, 16 if fmt.bits == 2 else 32)
        field, j = divmod(offset, 4)
        first = codes + (2 * chunk + block) * (64 if fmt.bits == 2 else 192) + 4 * lane + j
        if fmt.bits == 2:
            code = int(packed[first]) >> 2 * field & 3
        else:
            a, b, c = (int(packed[first + 64 * line]) for line in range(3))
            code = (a, b, c, a >> 6 | b >> 6 << 2 | c >> 6 << 4)[field // 2] >> 3 * (field % 2) & 7
        table = lane * count
    return code, int(packed.view(np.int8)[start + block * 16 * count + table + code]), scale


@given(codebook_tensors())
def test_bytes_lie_where_the_specification_says(case: tuple[CodebookFormat, CodebookTensor]) -> None:
    fmt, tensor = case
    rows, columns = tensor.codes.shape
    packed = fmt.pack(tensor)
    for row, k in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2), (rows - 1, 0), (0, columns - 1)):
        group, code = k // fmt.group_size if fmt.group_size else 0, tensor.codes[row, k]
        wanted = (code, tensor.levels[row, group, code], tensor.scales[row, group])
        assert _read(packed, fmt, columns, row, k) == wanted


def test_padding_is_zero_bytes() -> None:
    fmt = CodebookFormat(4)
    tensor = CodebookTensor(
        np.full((1, 1), 15, np.uint8), np.full((1, 1, 16), 7, np.int8), np.full((1, 1), 1.0, np.float16)
    )
    packed = fmt.pack(tensor)
    assert list(packed[np.flatnonzero(packed)]) == [7] * 16 + [0x3C, 15]  # levels, high byte of the scale, the code


def test_packed_size_matches_the_formula() -> None:
    assert CodebookFormat(3, 128).packed_size(33, 300) == 2 * (32 * 320 * 3 // 8 + 3 * (32 * 8 + 64))


@pytest.mark.parametrize("scheme", ["w4-codebook", "w3g128-codebook", "w2a32g64-codebook"])
def test_scheme_strings(scheme: str) -> None:
    parsed = Scheme.parse(scheme)
    assert isinstance(parsed.weights, CodebookFormat)
    assert str(parsed) == scheme


@pytest.mark.parametrize("bits", [0, 1, 5, 8])
def test_unsupported_bits_are_refused(bits: int) -> None:
    with pytest.raises(EdgeqError, match=f"unsupported bits, found {bits}, wanted 2, 3 or 4"):
        CodebookFormat(bits)


def test_a_zero_point_is_refused() -> None:
    with pytest.raises(EdgeqError, match="a codebook has no zero point, found -asym"):
        Scheme.parse("w4-codebook-asym")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.full((3, 40), 4, np.uint8)}, "code without a level, found 4, wanted below 4"),
        ({"levels": np.zeros((3, 1, 4), np.int8)}, r"levels: .*found int8\[3, 1, 4\], wanted int8\[3, 2, 4\]"),
        ({"levels": np.zeros((3, 2, 4), np.uint8)}, r"levels: .*found uint8\[3, 2, 4\]"),
        ({"scales": np.zeros((3, 2), np.float32)}, r"scales: .*found float32\[3, 2\], wanted float16\[3, 2\]"),
    ],
)
def test_other_tensors_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    good = {
        "codes": np.zeros((3, 40), np.uint8),
        "levels": np.zeros((3, 2, 4), np.int8),
        "scales": np.zeros((3, 2), np.float16),
    }
    with pytest.raises(EdgeqError, match=message):
        CodebookFormat(2, 32).pack(CodebookTensor(**good | change))


def test_wrong_packed_size_is_refused() -> None:
    with pytest.raises(EdgeqError, match=r"wrong size of packed weights, found uint8\[5\]"):
        CodebookFormat(4).unpack(np.zeros(5, np.uint8), 1, 1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 16), st.sampled_from([1e-9, 1e-4, 0.05, 1e3]))
def test_rounded_levels_are_within_half_a_step(seed: int, count: int, spread: float) -> None:
    levels = np.random.default_rng(seed).normal(0, spread, (3, 2, count))
    rounded, scales = nearest_levels(levels, 16)
    assert rounded.shape == (3, 2, 16)
    step = scales.astype(np.float64)[:, :, None]
    assert (np.abs(rounded[:, :, :count] * step - levels) <= step / 2).all()
    assert (rounded[:, :, count:] == rounded[:, :, count - 1 : count]).all()


def test_levels_that_are_not_finite_are_refused() -> None:
    for bad in (np.nan, np.inf, 1e9):
        with pytest.raises(EdgeqError, match="levels do not fit float16"):
            nearest_levels(np.array([[[1.0, bad]]]), 4)
