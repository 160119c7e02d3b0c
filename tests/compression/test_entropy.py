# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeq.compression.entropy import code_lengths, entropy, histogram, nibble_bits, rate


def test_entropy_of_known_histograms() -> None:
    assert entropy(np.array([4, 4, 4, 4])) == 2.0
    assert entropy(np.array([0, 7, 0])) == 0.0
    assert entropy(np.array([8, 4, 2, 2])) == 1.75
    assert entropy(np.zeros(256, np.int64)) == 0.0


def test_nibbles_hold_fifteen_codes() -> None:
    assert nibble_bits(np.ones(15, np.int64)) == 4.0
    assert nibble_bits(np.ones(16, np.int64)) == 4.0 + 8 / 16
    assert nibble_bits(np.zeros(256, np.int64)) == 0.0


@given(hnp.arrays(np.uint8, st.integers(1, 400)))
def test_rates_are_those_of_the_codes(codes: np.ndarray) -> None:
    counts = histogram(codes)
    shares = counts[counts > 0] / len(codes)
    assert entropy(counts) == pytest.approx(-(shares * np.log2(shares)).sum(), abs=1e-9)
    assert rate(counts, "nibble") >= 4.0
    assert rate(counts) <= np.log2(len(shares)) + 1e-9


def test_lengths_are_short_for_frequent_codes() -> None:
    counts = np.zeros(256, np.int64)
    counts[128], counts[129] = 1000, 10
    lengths = code_lengths(counts)
    assert lengths[128] < lengths[129] < lengths[0] < 20
