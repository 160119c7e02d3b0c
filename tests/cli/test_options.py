# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import pytest

from edgeq.cli.options import place_weights
from edgeq_ops import InstructionSets


def test_huge_pages_are_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EDGEQ_WEIGHTS", "mapped")
    monkeypatch.setattr("edgeq_ops.instruction_sets", lambda: InstructionSets("generic", ("generic",), "huge-pages"))
    assert not place_weights(False)
    assert os.environ["EDGEQ_WEIGHTS"] == "mapped"
    assert place_weights(True)
    assert os.environ["EDGEQ_WEIGHTS"] == "huge-pages"
    assert capsys.readouterr().err == ""


def test_a_system_without_huge_pages_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEQ_WEIGHTS", "mapped")
    found = InstructionSets("generic", ("generic",), "mapped", "enabled is never")
    monkeypatch.setattr("edgeq_ops.instruction_sets", lambda: found)
    assert place_weights(True)
    assert capsys.readouterr().err == "no huge pages, weights stay in the mapped file: enabled is never\n"
