# SPDX-License-Identifier: Apache-2.0
"""How many bits the codes of a matrix take when they are coded by how often each one occurs."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeq.formats import Format

Histogram = NDArray[np.int64]
Rate = Literal["entropy", "nibble"]
RATES: tuple[Rate, ...] = ("entropy", "nibble")

SYMBOLS = 256
NIBBLE_SYMBOLS = 15  # codes of 4 bits; the sixteenth says that a whole byte follows
NIBBLE_BITS, ESCAPE_BITS = 4, 8


def histogram(codes: NDArray[np.uint8]) -> Histogram:
    """How often each of 256 codes occurs, int64 ``[256]``."""
    return np.bincount(codes.reshape(-1), minlength=SYMBOLS)


def entropy(counts: Histogram) -> float:
    """Order-0 entropy in bits per code: what no coder with one static table goes below."""
    total = counts.sum()
    if not total:
        return 0.0
    shares = counts[counts > 0] / total
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def nibble_bits(counts: Histogram) -> float:
    """Bits per code where the 15 most frequent ones take 4 bits and all others 12."""
    total = counts.sum()
    if not total:
        return 0.0
    frequent = np.sort(counts)[-NIBBLE_SYMBOLS:].sum()
    return float(NIBBLE_BITS + ESCAPE_BITS * (1 - frequent / total))


def rate(counts: Histogram, measure: Rate = "entropy") -> float:
    """Bits per code of a coder: `entropy` or `nibble_bits`."""
    return nibble_bits(counts) if measure == "nibble" else entropy(counts)


def code_lengths(counts: Histogram) -> NDArray[np.float32]:
    """Bits that an ideal static coder spends on each code, float32 ``[256]``.

    Codes that do not occur are counted half a time, so that they cost much but not infinitely much.
    """
    smoothed = counts + 0.5
    return np.asarray(np.log2(smoothed.sum()) - np.log2(smoothed), np.float32)


def code_entropy(fmt: Format, packed: NDArray[np.uint8], rows: int, columns: int) -> float:
    """Order-0 entropy of the codes of a packed matrix, in bits per weight."""
    return entropy(histogram(fmt.unpack(packed, rows, columns).codes))
