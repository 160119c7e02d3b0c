# SPDX-License-Identifier: Apache-2.0
"""The tables of double compression show what was measured, and the right baseline."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import evidence.double.tables

    return evidence.double.tables


def quality(scheme: str, method: str, loss: float, **sizes: float) -> dict[str, Any]:
    from evidence.cells import Cell

    result = {"linear": {"weights": 1000.0} | sizes, "vocabulary": {}, "loss_difference": loss, "kl_divergence": 0.5}
    return {"kind": "quality", "cell": Cell("books-6m", scheme, method).key, "result": result}


def write(path: Path, lines: list[dict[str, Any]]) -> Any:
    from evidence.double.records import Lines

    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return Lines(path)


def test_ratios_are_to_plain_int8(tables: ModuleType, tmp_path: Path) -> None:
    lines = [
        quality("w8", "rtn", 0.001, raw=1000.0, entropy=900.0, rans=910.0),
        quality("w8", "ecgptq", 0.011, raw=1000.0, entropy=395.0, rans=400.0),
        quality("w4g128", "gptq", 0.021, raw=520.0),
    ]
    shown = tables.sections(write(tmp_path / "lines", lines))["books-6m"].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown]
    column = cells[0].index("ratio to INT8")
    assert [row[column] for row in cells[2:]] == ["1.10", "2.50", "1.92"]
    column = cells[0].index("perplexity to INT8")
    assert [row[column] for row in cells[2:]] == ["+0.00 %", "+1.01 %", "+2.02 %"]


def test_later_lines_of_a_cell_win(tables: ModuleType, tmp_path: Path) -> None:
    lines = [quality("w8", "rtn", loss, raw=1000.0) for loss in (0.5, 0.25)]
    shown = tables.sections(write(tmp_path / "lines", lines))["books-6m"]
    assert "+0.2500" in shown
    assert "+0.5000" not in shown


def test_every_table_has_its_place_in_the_document(tables: ModuleType, tmp_path: Path) -> None:
    from evidence.document import fill

    parts = tables.sections(write(tmp_path / "lines", []))
    document = (ROOT / "docs" / "compression.md").read_text(encoding="utf-8")
    assert all(f"<!-- results: {name} -->" in document for name in parts)
    fill(document, parts)  # no place without a table


def test_addresses_are_limited() -> None:
    """What the benchmark calls a limit is one."""
    import subprocess

    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from evidence.double.worker import limit_addresses\n"
        "limit_addresses(64 << 20)\n"
        "bytearray(32 << 20)\n"
        "try: bytearray(128 << 20)\n"
        "except MemoryError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "benchmarks")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "refused"
