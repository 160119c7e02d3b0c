# SPDX-License-Identifier: Apache-2.0
"""The bookkeeping of benchmarks/accuracy.py: nothing is measured twice, means and winners are those of the records."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from evidence.cells import Cell
from evidence.comparison import nonuniform_table, other_tools_table
from evidence.document import fill
from evidence.grid import PARTS, cells_of
from evidence.ranks import lower_rank
from evidence.results import Record, Results
from evidence.subjects import DECODERS, ENCODER
from evidence.summary import Row, best, rows_of
from evidence.targets import GPTQ, MAGR_GPTQ, RTN, target_table

SEARCHED = {"clip": "minmax", "beta": "auto"}


def record(cell: Cell, loss: float, bits: float) -> Record:
    values = {
        "kl_divergence": loss,
        "loss_difference": loss,
        "perplexity": 10.0 + loss,
        "reference_perplexity": 10.0,
        "standard_error": 0.001,
    }
    return Record(cell, {"bits_per_weight": bits, **values}, {})


def own(scheme: str, method: str, seed: int | None = None, options: dict[str, str] | None = None) -> Cell:
    solver = method.rpartition("+")[2]
    named = tuple((f"{solver}.{name}", value) for name, value in reversed((options or {}).items()))
    return Cell(DECODERS[0], scheme, method, named, seed)


def rows(*records: Record) -> list[Row]:
    return rows_of(records)


def test_results_survive_and_the_latest_counts(tmp_path: Path) -> None:
    results = Results(tmp_path / "r.jsonl")
    assert results.keys() == set()
    cell = own("w3a32-asym", "gptq", 1, SEARCHED)
    results.append(record(cell, 0.5, 3.1))
    results.append(record(cell, 0.25, 3.1))
    assert [item.result["loss_difference"] for item in results] == [0.25]
    assert results.keys() == {cell.key}
    assert next(iter(results)).cell == cell


@pytest.mark.parametrize("model", [*DECODERS, ENCODER])
def test_no_cell_comes_twice(model: str) -> None:
    cells = cells_of(model, [part for part in PARTS if part != "tools"])
    assert len({cell.key for cell in cells}) == len(cells)
    assert all(cell.model == model for cell in cells)


def test_seeds_are_taken_together() -> None:
    cells = [own("w3a32-asym", "gptq", seed) for seed in (0, 1, 2)]
    (row,) = rows(*(record(cell, loss, 3.1) for cell, loss in zip(cells, (0.1, 0.2, 0.6), strict=True)))
    assert row.loss == pytest.approx(0.3)
    assert row.spread("loss_difference") == pytest.approx(0.25)


def test_the_best_stores_no_more() -> None:
    found = rows(
        record(own("w4a32-asym", "rtn"), 0.01, 4.1),
        record(own("w3a32-asym", "rtn"), 0.3, 3.1),
        record(own("w3a32-bcq", "gptq", 0), 0.2, 3.2),
    )
    assert [best(found, limit).cell.scheme for limit in (3.1, 3.2, 4.1)] == ["w3a32-asym", "w3a32-bcq", "w4a32-asym"]  # type: ignore[union-attr]
    assert best(found, 3.0) is None


def test_winners_are_named() -> None:
    found = rows(
        record(own("w3a32-asym", "rtn"), 0.3, 3.1),
        record(own("w3a32-bcq", "gptq", 0), 0.2, 3.2),
        record(Cell(DECODERS[0], "Q3_K", "default", tool="llama.cpp"), 0.1, 3.4375),
        record(Cell(DECODERS[0], "3 bits g64", "default", tool="hqq"), 0.4, 3.5),
    )
    assert nonuniform_table(found).splitlines()[-1].endswith("| this |")
    lines = other_tools_table(found).splitlines()
    assert lines[-2].endswith("| edgeq |")
    assert "| llama.cpp: a scale of 6 bits" in lines[-1]


def test_targets_are_checked() -> None:
    losses = {RTN: 0.3, GPTQ: 0.1, MAGR_GPTQ: 0.2}
    records = [
        record(own("w3a32-asym", name.partition(" (")[0], 0, SEARCHED), loss, 3.1) for name, loss in losses.items()
    ]
    assert [row.method for row in rows(*records)] == list(losses)
    assert (
        target_table(rows(*records))
        .splitlines()[-1]
        .endswith("| 3 bits per channel: magr+gptq ≤ gptq ≤ rtn | +0.2000 / +0.1000 / +0.3000 | no |")
    )


def test_marked_parts_are_replaced() -> None:
    document = "a\n<!-- results: x -->\nold\n<!-- end of results -->\nb\n"
    filled = fill(document, {"x": "new"})
    assert filled == "a\n<!-- results: x -->\n\nnew\n\n<!-- end of results -->\nb\n"
    assert fill(filled, {"x": "new"}) == filled


def test_lowered_rank() -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((200, 40)))
    values = torch.linalg.eigvalsh(lower_rank(x.T @ x, 0.25))
    assert int((values > 1e-5 * values[-1]).sum()) == 10
    full = x.T @ x
    torch.testing.assert_close(lower_rank(full, 1.0), full)
