# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices import answers
from edgeq_devices.answers import number, parse_answer, read_lines, text


@pytest.mark.parametrize(
    "line",
    [b"", b"hello", b"[1]", b"1", b'{"a": NaN}', b'{"a": -Infinity}', b"\xff", b"[" * 100_000, b'{"a": 1} {"b": 2}'],
)
def test_anything_but_an_object_is_refused(line: bytes) -> None:
    with pytest.raises(EdgeqError, match=r"^ssh://board: the board sends something else than events, found b"):
        parse_answer(line, "ssh://board")


@pytest.mark.parametrize("value", ["1", None, True, [1], {}])
def test_numbers_are_numbers(value: object) -> None:
    with pytest.raises(EdgeqError, match="wrong ns from the board"):
        number({"ns": value}, "ns", "board")


def test_texts_cannot_write_to_the_terminal() -> None:
    assert text({"error": "bad\x1b[2J\nnews" + "x" * 1000}, "error", "board").startswith("bad [2J news")
    assert len(text({"error": "x" * 1000}, "error", "board")) == 400
    with pytest.raises(EdgeqError, match="wrong error from the board"):
        text({"error": 7}, "error", "board")


def test_an_endless_line_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LINE_BYTES", 100)
    with pytest.raises(EdgeqError, match="the board sends too much"):
        list(read_lines(io.BytesIO(b"x" * 1000), "board"))


def test_endless_lines_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "TOTAL_BYTES", 100)
    with pytest.raises(EdgeqError, match="the board sends too much"):
        list(read_lines(io.BytesIO(b"{}\n" * 1000), "board"))
