# SPDX-License-Identifier: Apache-2.0
"""The parts of a layer's error, and the tables of benchmarks/w4a8.py."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from evidence.cells import Cell
from evidence.layer_errors import parts, row_range
from evidence.outlier_model import add_outliers
from evidence.results import Record, Results
from evidence.subjects import DECODERS, ENCODER
from evidence.synthetic import run_synthetic
from evidence.w4a8_grid import w4a8_cells
from evidence.w4a8_table import w4a8_sections

from tests.export.tiny_models import tiny_model

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "w4a8.md"


def test_the_parts_are_those_of_the_weights_that_become_zero_and_of_the_others() -> None:
    weight = torch.tensor([[1.4, -1.6, 0.05, 0.42]])
    gram = torch.eye(4, dtype=torch.float64)
    under, rounding, whole = parts(weight, gram, "w4-asym")
    output = float(weight.norm())
    assert under == pytest.approx(0.05 / output, rel=1e-3)  # steps of 0.2: 0.05 becomes 0
    assert rounding == pytest.approx(abs(0.42 - 0.4) / output, rel=0.05)
    assert whole**2 == pytest.approx(under**2 + rounding**2, rel=1e-6)


def test_range_over_sigma() -> None:
    assert row_range(torch.tensor([[-1.0, 1.0], [-3.0, 3.0]])) == pytest.approx(2**0.5)


def test_heavy_tails_are_what_dint_is_for() -> None:
    light, heavy = (run_synthetic(Cell(kind, "fp32", "synthetic")) for kind in ("uniform", "t3"))
    assert light["range"] < heavy["range"]
    assert light["w4-dint-asym"][2] > light["w4-asym"][2]
    assert heavy["w4-dint-asym"][2] < 0.9 * heavy["w4-asym"][2]


@pytest.mark.parametrize("model", [*DECODERS, ENCODER])
def test_cells_are_distinct(model: str) -> None:
    cells = w4a8_cells(model)
    assert len({cell.key for cell in cells}) == len(cells)


def test_every_part_of_the_document_has_a_table(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    cell = Cell("stories260K", "w4a8ta-auto-asym", "aqas+gptq", (), 0)
    values = {"loss_difference": 0.05, "standard_error": 0.001, "perplexity": 4.0, "kl_divergence": 0.1}
    results.append(Record(cell, values | {"formats": {"w4a8ta-asym": 3}, "evaluation": "eager"}, {}))
    sections = w4a8_sections(results)
    names = re.findall(r"<!-- results: (.+?) -->", DOCUMENT.read_text(encoding="utf-8"))
    assert set(names) == set(sections)
    assert "| w4a8ta-auto-asym | aqas+gptq | +0.0500 |" in sections["w4a8 stories260K"]
    assert "3 w4a8ta-asym" in sections["w4a8 stories260K"]


def test_outliers_change_no_outputs() -> None:
    model = tiny_model("llama")
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        before = model(input_ids=ids).logits
        for layer in model.model.layers:
            add_outliers(layer)
        torch.testing.assert_close(model(input_ids=ids).logits, before, rtol=1e-4, atol=1e-4)
    assert model.model.layers[0].input_layernorm.weight.abs().max() > 20
