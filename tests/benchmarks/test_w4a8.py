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
from evidence.value_cache import SHARED_BY, round_range, rounding_values
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


def test_quantized_caches_stand_beside_the_floats(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    for cache, loss in ((None, 0.05), ("kv8", 0.06), ("v4 by token", 0.08)):
        cell = Cell("books-6m", "w4a8ta-asym", "gptq", () if cache is None else (("kv_cache", cache),), 0)
        values = {"loss_difference": loss, "standard_error": 0.001, "perplexity": 4.0, "kl_divergence": 0.1}
        results.append(Record(cell, values | ({"cache_bytes_per_token": 1536.0} if cache == "kv8" else {}), {}))
    sections = w4a8_sections(results)
    row = "| books-6m | w4a8ta-asym | gptq | +0.0500 | +0.0100 |  |  | +0.0300 | 6144/1536/768 |"
    assert row in sections["w4a8 with a quantized cache"]
    assert "+0.0600" not in sections["w4a8 books-6m"]


def test_values_are_rounded_within_half_a_step() -> None:
    values = torch.randn(2, 9, 3, 8, generator=torch.Generator().manual_seed(0))
    values[0, 0, 0] = 1.5  # no range
    for dim in SHARED_BY.values():
        found = round_range(values, dim)
        step = (values.amax(dim, keepdim=True) - values.amin(dim, keepdim=True)) / 15
        assert ((found - values).abs() <= step / 2 + 1e-6).all()
        for line in found.movedim(dim, -1).reshape(-1, found.shape[dim]):
            assert len(line.unique()) <= 16


def test_only_the_values_are_rounded_and_only_within_the_context() -> None:
    model = tiny_model("llama")
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        plain = model(input_ids=ids, use_cache=True)
        with rounding_values(model, "v4 by token"):
            rounded = model(input_ids=ids, use_cache=True)
        after = model(input_ids=ids).logits
    first, changed = (output.past_key_values.layers[0] for output in (plain, rounded))
    assert torch.equal(first.keys, changed.keys)
    torch.testing.assert_close(changed.values, round_range(first.values, 3), rtol=1e-5, atol=1e-6)
    assert not torch.equal(first.values, changed.values)
    assert torch.equal(after, plain.logits)


def test_outliers_change_no_outputs() -> None:
    model = tiny_model("llama")
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        before = model(input_ids=ids).logits
        for layer in model.model.layers:
            add_outliers(layer)
        torch.testing.assert_close(model(input_ids=ids).logits, before, rtol=1e-4, atol=1e-4)
    assert model.model.layers[0].input_layernorm.weight.abs().max() > 20
