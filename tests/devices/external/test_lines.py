# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq_devices.external.lines import LineParser


@pytest.mark.parametrize(
    ("columns", "line", "sample"),
    [
        ((), "3.25", (None, 3.25)),
        ((), " 5.0, 0.5\r", (None, 2.5)),
        ((), "12.5;5;0.5", (12.5, 2.5)),
        (("power_w", "time_s"), "3\t4.5", (4.5, 3.0)),
        (("-", "current_a", "voltage_v"), "x 2 5", (None, 10.0)),
        ((), "", None),
    ],
)
def test_samples(columns: tuple[str, ...], line: str, sample: tuple[float | None, float] | None) -> None:
    parser = LineParser(columns)
    assert parser.parse(line) == sample
    assert not parser.wrong


def test_a_header_names_the_columns() -> None:
    parser = LineParser()
    assert parser.parse("time_s,power_w") is None
    assert parser.parse("1,3") == (1.0, 3.0)
    assert not parser.wrong


@pytest.mark.parametrize("line", ["watts", "nan", "inf", "-3", "1e6", "1 2 3 4", "5,x"])
def test_wrong_lines_are_counted(line: str) -> None:
    parser = LineParser()
    assert parser.parse(line) is None
    assert (parser.wrong, parser.example) == (1, line)


@given(st.text(), st.lists(st.sampled_from(["time_s", "power_w", "voltage_v", "current_a", "-"])))
def test_any_line_is_a_sample_or_none(line: str, columns: list[str]) -> None:
    sample = LineParser(columns).parse(line)
    assert sample is None or 0 <= sample[1] <= 5000
