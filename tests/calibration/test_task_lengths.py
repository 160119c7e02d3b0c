# SPDX-License-Identifier: Apache-2.0
"""Calibration lengths from task lengths, checked against counting tokens one by one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.calibration.task_lengths import choose_length, read_task_lengths
from edgeq.errors import EdgeqError


def _words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("160", {160: 1}),
        ("32+128", {160: 1}),
        ("30-33", {30: 1, 31: 1, 32: 1, 33: 1}),
        ("64:10,512:3,64:1", {64: 11, 512: 3}),
    ],
)
def test_lengths_from_text(text: str, wanted: dict[int, int]) -> None:
    assert read_task_lengths(text, _words) == Counter(wanted)


def test_lengths_from_files(tmp_path: Path) -> None:
    lines = tmp_path / "lengths.txt"
    lines.write_text("64 10\n\n128\n64,2\n")
    assert read_task_lengths(str(lines), _words) == Counter({64: 12, 128: 1})
    texts = tmp_path / "tasks.jsonl"
    texts.write_text("\n".join(json.dumps({"text": "word " * n}) for n in (3, 3, 7)))
    assert read_task_lengths(str(texts), _words) == Counter({3: 2, 7: 1})


@pytest.mark.parametrize("text", ["", "abc", "0", "9-3", "64:0", "64;128", "-5"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(EdgeqError, match="--task-lengths"):
        read_task_lengths(text, _words)


def test_the_line_that_is_wrong_is_named(tmp_path: Path) -> None:
    file = tmp_path / "lengths.txt"
    file.write_text("64\nlong\n")
    with pytest.raises(EdgeqError, match=r"lengths.txt.*'long'"):
        read_task_lengths(str(file), _words)


@given(st.dictionaries(st.integers(1, 2048), st.integers(1, 5), min_size=1, max_size=6))
def test_half_of_the_tokens_are_in_inputs_as_long_at_most(lengths: dict[int, int]) -> None:
    choice = choose_length(lengths, 2048)
    tokens = sorted(length for length, count in lengths.items() for _ in range(length * count))
    median = tokens[(len(tokens) - 1) // 2]
    assert f"up to {median} tokens" in choice.reason
    powers = [2**n for n in range(3, 12)]
    assert choice.length in powers
    if median >= 8:
        assert max(choice.length / median, median / choice.length) <= 2**0.5 + 1e-9


def test_many_short_inputs_outweigh_few_long_ones_only_by_their_tokens() -> None:
    assert choose_length({64: 100, 2048: 2}, 2048).length == 64
    assert choose_length({64: 100, 2048: 20}, 2048).length == 2048


def test_the_context_bounds_the_length() -> None:
    assert choose_length({190: 1}, 200).length == 200  # 256 is the nearest power of two
    with pytest.raises(EdgeqError, match=r"longer than the model's context.*found 300 tokens, wanted at most 256"):
        choose_length({64: 5, 300: 1}, 256)
