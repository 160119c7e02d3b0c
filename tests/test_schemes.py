# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, UniformFormat
from edgeq.schemes import Scheme


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("w4g128", Scheme(UniformFormat(4, 128))),
        ("w8", Scheme(UniformFormat(8))),
        ("w2g64-asym", Scheme(UniformFormat(2, 64, symmetric=False))),
        ("w4a32g32", Scheme(UniformFormat(4, 32), 32)),
        ("w4a8", Scheme(UniformFormat(4), 8)),
        ("w3g64-bcq", Scheme(BcqFormat(3, 64))),
        ("w1a32-bcq", Scheme(BcqFormat(1), 32)),
        ("fp32", Scheme(None)),
    ],
)
def test_scheme_strings_round_trip(text: str, scheme: Scheme) -> None:
    assert Scheme.parse(text) == scheme
    assert str(scheme) == text


def test_long_spellings_are_understood() -> None:
    assert Scheme.parse("w4g128-uniform-sym") == Scheme.parse("w4g128")


def test_bits_stand_for_groups_of_128() -> None:
    assert str(Scheme.from_bits(3)) == "w3g128"


@pytest.mark.parametrize(
    ("scheme", "wanted"), [("w4g128", "w8g128"), ("w3a32-bcq", "w8a32"), ("w8g64-asym", "w8g64-asym"), ("fp32", "fp32")]
)
def test_vocabularies_get_eight_bits(scheme: str, wanted: str) -> None:
    assert str(Scheme.parse(scheme).for_vocabulary()) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown scheme"),
        ("4bit", "unknown scheme"),
        ("w4g128-", "unknown scheme"),
        ("w4-nf", "unknown format, found nf, wanted bcq or .*uniform"),
        ("w5g128", "unsupported bits, found 5"),
        ("w4g100", "unsupported group size, found 100"),
        ("w4a16", "unsupported activation bits, found 16"),
        ("w3-bcq-asym", "always have an offset"),
    ],
)
def test_bad_schemes_are_refused(text: str, message: str) -> None:
    with pytest.raises(EdgeqError, match=message):
        Scheme.parse(text)


@given(st.text(max_size=30))
def test_any_text_is_a_scheme_or_a_clear_error(text: str) -> None:
    try:
        scheme = Scheme.parse(text)
    except EdgeqError as error:
        message = str(error)
    else:
        message = f"wanted {scheme}"
        assert Scheme.parse(str(scheme)) == scheme
    assert "wanted" in message
