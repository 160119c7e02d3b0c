# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies: quantized matrices of odd shapes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from edgeq.formats import (
    BcqFormat,
    BcqTensor,
    CodebookFormat,
    CodebookTensor,
    DintFormat,
    DintTensor,
    UniformFormat,
    UniformTensor,
)
from edgeq.formats.layout import group_count

SHAPES = st.tuples(st.integers(1, 100), st.integers(1, 300))
GROUP_SIZES = st.sampled_from([0, 32, 64, 96, 128, 256])


@st.composite
def uniform_tensors(draw: st.DrawFn, bits: tuple[int, ...] = (2, 3, 4, 8)) -> tuple[UniformFormat, UniformTensor]:
    fmt = UniformFormat(draw(st.sampled_from(bits)), draw(GROUP_SIZES), draw(st.booleans()))
    (rows, columns), rng = draw(SHAPES), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = group_count(columns, fmt.group_size)
    zero_points = None if fmt.symmetric else rng.integers(0, 2**fmt.bits, (rows, groups), dtype=np.uint8)
    codes = rng.integers(0, 2**fmt.bits, (rows, columns), dtype=np.uint8)
    return fmt, UniformTensor(codes, rng.normal(size=(rows, groups)).astype(np.float16), zero_points)


@st.composite
def bcq_tensors(draw: st.DrawFn) -> tuple[BcqFormat, BcqTensor]:
    fmt = BcqFormat(draw(st.integers(1, 4)), draw(GROUP_SIZES))
    (rows, columns), rng = draw(SHAPES), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = group_count(columns, fmt.group_size)
    codes = rng.integers(0, 2**fmt.bits, (rows, columns), dtype=np.uint8)
    coefficients = rng.normal(size=(rows, groups, fmt.bits)).astype(np.float16)
    return fmt, BcqTensor(codes, coefficients, rng.normal(size=(rows, groups)).astype(np.float16))


@st.composite
def codebook_tensors(draw: st.DrawFn) -> tuple[CodebookFormat, CodebookTensor]:
    fmt = CodebookFormat(draw(st.sampled_from((2, 3, 4))), draw(GROUP_SIZES))
    (rows, columns), rng = draw(SHAPES), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = group_count(columns, fmt.group_size)
    codes = rng.integers(0, 2**fmt.bits, (rows, columns), dtype=np.uint8)
    levels = rng.integers(-128, 128, (rows, groups, 2**fmt.bits)).astype(np.int8)
    return fmt, CodebookTensor(codes, levels, rng.normal(size=(rows, groups)).astype(np.float16))


@st.composite
def dint_tensors(draw: st.DrawFn) -> tuple[DintFormat, DintTensor]:
    bits, denominator = draw(st.sampled_from((3, 4))), draw(st.sampled_from((2, 4, 8)))
    fmt = DintFormat(bits, draw(GROUP_SIZES), draw(st.booleans()), denominator)
    (rows, columns), rng = draw(SHAPES), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = group_count(columns, fmt.group_size)
    zero_points = None if fmt.symmetric else rng.integers(0, 2**fmt.bits - 2, (rows, groups), dtype=np.uint8)
    codes = rng.integers(0, 2**fmt.bits, (rows, columns), dtype=np.uint8)
    return fmt, DintTensor(codes, rng.normal(size=(rows, groups)).astype(np.float16), zero_points)
