# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, DintFormat, UniformFormat
from edgeq.schemes import Scheme


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("w4g128", Scheme(UniformFormat(4, 128))),
        ("w8", Scheme(UniformFormat(8))),
        ("w2g64-asym", Scheme(UniformFormat(2, 64, symmetric=False))),
        ("w4a32g32", Scheme(UniformFormat(4, 32), 32)),
        ("w4a8", Scheme(UniformFormat(4), 8)),
        ("w4a8t", Scheme(UniformFormat(4), 8, "token")),
        ("w4a8tag64-asym", Scheme(UniformFormat(4, 64, symmetric=False), 8, "token-asym")),
        ("w4a8sg128", Scheme(UniformFormat(4, 128), 8, "static")),
        ("w4a16", Scheme(UniformFormat(4), 16)),
        ("w4a8-dint", Scheme(DintFormat(4), 8)),
        ("w3a8ta-dint0.25", Scheme(DintFormat(3, denominator=4), 8, "token-asym")),
        ("w4g64-dint0.125-asym", Scheme(DintFormat(4, 64, symmetric=False, denominator=8))),
        ("w4a8-auto", Scheme(UniformFormat(4), 8, auto=True)),
        ("w3g64-auto-asym", Scheme(UniformFormat(3, 64, symmetric=False), auto=True)),
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
    ("scheme", "wanted"),
    [("w4g128", "w8g128"), ("w3a32-bcq", "w8a32"), ("w8g64-asym", "w8g64-asym"), ("w4a8s", "w8a8t"), ("fp32", "fp32")],
)
def test_vocabularies_get_eight_bits(scheme: str, wanted: str) -> None:
    assert str(Scheme.parse(scheme).for_vocabulary()) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown scheme"),
        ("4bit", "unknown scheme"),
        ("w4g128-", "unknown scheme"),
        ("w4-nf", "unknown format, found nf, wanted auto or bcq or .*uniform"),
        ("w5g128", "unsupported bits, found 5"),
        ("w4g100", "unsupported group size, found 100"),
        ("w4a12", "unsupported activation bits, found 12, wanted 8 or 8t or 8ta or 8s or 16 or 32"),
        ("w4a32t", "unsupported activation bits, found 32t"),
        ("w4a8x", "unsupported activation bits, found 8x"),
        ("w5a8-dint", "format dint: unsupported bits, found 5, wanted 3 or 4"),
        ("w4a8-dint0.5", "unknown format, found dint0.5, wanted .* dint0.125 or dint0.25"),
        ("w3-bcq-asym", "always have an offset"),
        ("w2-auto", "nothing to choose between, found 2 bits, wanted 3 or 4"),
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


def test_a_choice_of_formats_is_between_those_of_the_same_size() -> None:
    scheme = Scheme.parse("w3a8tg64-auto-asym")
    assert [str(scheme.with_format(fmt)) for fmt in scheme.formats] == [
        "w3a8tg64-asym",
        "w3a8tg64-dint-asym",
        "w3a8tg64-dint0.25-asym",
        "w3a8tg64-dint0.125-asym",
    ]
    assert len({fmt.packed_size(40, 100) for fmt in scheme.formats}) == 1


@pytest.mark.parametrize(
    ("scheme", "name", "wanted"),
    [
        ("w4g64-asym", "auto", "w4g64-auto-asym"),
        ("w4a8ta-dint", "uniform", "w4a8ta"),
        ("w3g64-bcq", "dint0.25", "w3g64-dint0.25"),
        ("fp32", "dint", "fp32"),
    ],
)
def test_schemes_in_another_format(scheme: str, name: str, wanted: str) -> None:
    assert str(Scheme.parse(scheme).in_format(name)) == wanted
