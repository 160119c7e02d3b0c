# SPDX-License-Identifier: Apache-2.0
"""Small weights in every format, made by arithmetic, so that they are the same wherever they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeq.formats import (
    BcqFormat,
    BcqTensor,
    CodebookFormat,
    CodebookTensor,
    DintFormat,
    DintTensor,
    Format,
    QuantizedTensor,
    UniformFormat,
    UniformTensor,
)

ROWS, COLUMNS, GROUP = 40, 96, 64
"""Odd on purpose: rows end inside a tile, the last group is short."""

Values = NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """One weight matrix and the node that multiplies by it.

    Attributes:
        name: Name of the node and of its output.
        format: How the weight is stored.
        activation_bits: As in the scheme; ``None`` for the default.
        tolerance: Largest relative error (Euclidean norm) against float64; it covers the 8-bit activations or tables.
        activation_mode: As in the scheme.
    """

    name: str
    format: Format
    activation_bits: int | None
    tolerance: float
    activation_mode: Literal["block", "token", "token-asym"] = "block"


CASES = (
    *(Case(f"dint_w{bits}", UniformFormat(bits, GROUP), None, 0.02) for bits in (2, 3, 4, 8)),
    *(Case(f"dint_w{bits}_asym", UniformFormat(bits, GROUP, symmetric=False), None, 0.02) for bits in (3, 4)),
    Case("dint_w4_a32", UniformFormat(4, GROUP), 32, 1e-5),
    *(Case(f"dint_w{bits}_dint", DintFormat(bits, GROUP), None, 0.02) for bits in (3, 4)),
    Case("dint_w4_dint_asym", DintFormat(4, GROUP, symmetric=False), None, 0.02),
    Case("dint_w4_dint0.25", DintFormat(4, GROUP, denominator=4), None, 0.02),
    Case("dint_w4_dint0.125_asym", DintFormat(4, GROUP, symmetric=False, denominator=8), None, 0.02),
    Case("dint_w3_dint0.125_asym", DintFormat(3, GROUP, symmetric=False, denominator=8), None, 0.02),
    Case("dint_w4_a8t", UniformFormat(4, GROUP), 8, 0.02, "token"),
    Case("dint_w4_a8ta", UniformFormat(4, GROUP), 8, 0.02, "token-asym"),
    *(Case(f"dint_w{bits}_codebook", CodebookFormat(bits, GROUP), None, 0.02) for bits in (2, 3, 4)),
    *(Case(f"lut_w{bits}", BcqFormat(bits, GROUP), None, 0.02) for bits in (1, 2, 3, 4)),
    Case("lut_w3_a32", BcqFormat(3, GROUP), 32, 1e-3),
)
GATHERED = ("dint_w3", "dint_w4_asym", "dint_w3_dint", "dint_w4_dint0.25", "dint_w4_codebook", "lut_w3")
"""Cases whose weight is also read row by row."""


def _spread(count: int, factor: int, modulus: int) -> Values:
    """``count`` numbers in [0, modulus) without a visible pattern."""
    numbers = np.arange(count, dtype=np.int64)
    mixed: Values = (numbers * factor + numbers * numbers * 7 + (numbers >> 3) * 13) % 10007
    return mixed % modulus


def tensor(fmt: Format) -> QuantizedTensor:
    """The weight of a case, ``[ROWS, COLUMNS]``."""
    groups = -(-COLUMNS // fmt.group_size)
    codes = _spread(ROWS * COLUMNS, 31, 2**fmt.bits).astype(np.uint8).reshape(ROWS, COLUMNS)
    scales = ((_spread(ROWS * groups, 17, 64) + 8) / 512).astype(np.float16).reshape(ROWS, groups)
    if isinstance(fmt, BcqFormat):
        planes = np.float16(2.0) ** np.arange(fmt.bits, dtype=np.float16)
        return BcqTensor(codes, scales[..., None] * planes, -scales)
    if isinstance(fmt, CodebookFormat):
        levels = _spread(ROWS * groups * 2**fmt.bits, 37, 255).reshape(ROWS, groups, -1) - 127
        return CodebookTensor(codes, levels.astype(np.int8), scales / np.float16(16))
    kind, top = (DintTensor, 2**fmt.bits - 2) if isinstance(fmt, DintFormat) else (UniformTensor, 2**fmt.bits)
    zeros = _spread(ROWS * groups, 5, top).astype(np.uint8).reshape(ROWS, groups)
    return kind(codes, scales, None if fmt.symmetric else zeros)


def packed(fmt: Format) -> NDArray[np.uint8]:
    """The stored bytes of a case's weight."""
    return fmt.pack(tensor(fmt))  # type: ignore[arg-type]


def decoded(fmt: Format) -> NDArray[np.float64]:
    """The weights themselves, ``[ROWS, COLUMNS]``."""
    return fmt.decode(tensor(fmt)).astype(np.float64)  # type: ignore[arg-type]


def activations(tokens: int) -> NDArray[np.float32]:
    """Inputs ``[tokens, COLUMNS]`` in [-1, 1)."""
    values = _spread(tokens * COLUMNS, 29, 1024).reshape(tokens, COLUMNS)
    return (values / 512 - 1).astype(np.float32)
