# SPDX-License-Identifier: Apache-2.0
import pytest

from edgeq.cli.ranges import parse_cores, parse_duration, parse_numbers
from edgeq.errors import EdgeqError


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("512", [512]),
        ("1,2", [1, 2]),
        ("4, 1", [4, 1]),
        ("1-4", [1, 2, 3, 4]),
        ("0-512+256", [0, 256, 512]),
        ("1-10+4", [1, 5, 9]),
        ("1-8*2,3", [1, 2, 4, 8, 3]),
        ("5-3", [5]),
    ],
)
def test_lists_and_ranges(text, numbers):
    assert parse_numbers(text, "-p") == numbers


@pytest.mark.parametrize("text", ["", "x", "1,", "-1", "1.5", "1-2-3", "1-4/2"])
def test_anything_else_is_refused_with_the_option(text):
    with pytest.raises(EdgeqError, match=r"^-t: not a list of numbers"):
        parse_numbers(text, "-t")


@pytest.mark.parametrize("text", ["0-8*2", "1-8*1", "1-8+0", "1-1000000"])
def test_ranges_end(text):
    with pytest.raises(EdgeqError, match="endless range"):
        parse_numbers(text, "-p")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_durations(text, seconds):
    assert parse_duration(text, "--sustain") == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-1s", "1d", "1m30s"])
def test_other_durations_are_refused(text):
    with pytest.raises(EdgeqError, match=r"^--sustain: not a duration"):
        parse_duration(text, "--sustain")


@pytest.mark.parametrize(
    ("text", "sets"), [("all", ["all"]), ("big,little, all", ["big", "little", "all"]), ("0-3,6", ["0-3,6"])]
)
def test_sets_of_cores(text, sets):
    assert parse_cores(text) == sets


@pytest.mark.parametrize("text", ["", "big,", ",0"])
def test_sets_of_cores_have_names(text):
    with pytest.raises(EdgeqError, match=r"^--cores: no name"):
        parse_cores(text)
