# SPDX-License-Identifier: Apache-2.0
"""What hostile results may not do to whoever prints them or shows them as Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq_devices.report.documents import load_results
from edgeq_devices.report.plain import markdown
from tests.devices.report.samples import evaluation, profile, row, write

EVIL = "a|b\n# c <img src=x> [d](javascript:e)\x1b]0;f\x07"


@pytest.fixture
def text(tmp_path: Path) -> str:
    write(tmp_path / "profile.json", profile(row(model_filename=EVIL, device=EVIL, flags=[EVIL])))
    write(tmp_path / "quality.json", evaluation(bundle=EVIL, text=EVIL))
    return markdown(load_results([tmp_path]), "t")


def test_texts_cannot_write_to_the_terminal(text: str) -> None:
    assert all(line.isprintable() for line in text.splitlines())


def test_texts_stay_in_their_cells(text: str) -> None:
    header, rule, line = (line for line in text.splitlines()[:6] if line.startswith("|"))
    assert {each.replace("\\|", "").count("|") for each in (header, rule, line)} == {header.count("|")}
    assert not [line for line in text.splitlines()[1:] if line.startswith("#")]


def test_texts_are_neither_tags_nor_links(text: str) -> None:
    assert text.count("\\<img") == text.count("<img") > 0
    assert text.count("\\[d]") == text.count("[d]") > 0
