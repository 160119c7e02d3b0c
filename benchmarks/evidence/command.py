# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks that keep their results in a file have in common on the command line."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgeq.errors import EdgeqError
from evidence.cells import Cell
from evidence.document import fill
from evidence.results import Record, Results


def conditions() -> dict[str, str]:
    """What figures of quality may depend on."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"edgeq": version("edgeq"), "commit": commit, **{name: version(name) for name in ("onnxruntime", "torch")}}


def measure_cells(
    measure: Callable[[Cell], dict[str, Any]],
    cells: Iterable[Cell],
    results: Results,
    deadline: float,
    outcome: Callable[[dict[str, Any]], str],
) -> None:
    """Measures cells until the deadline, of `time.monotonic`, and appends what was found; failures are left out."""
    for cell in cells:
        if time.monotonic() > deadline:
            return
        start = time.perf_counter()
        try:
            result = measure(cell)
        except EdgeqError as error:
            print(f"{cell.label}: {error}", file=sys.stderr, flush=True)
            continue  # tried again next time
        result["seconds"] = time.perf_counter() - start
        results.append(Record(cell, result, conditions()))
        print(f"{cell.label}: {outcome(result)}, {result['seconds']:.1f} s", file=sys.stderr, flush=True)


def measure_models(
    options: argparse.Namespace,
    cells_of: Callable[[str], Iterable[Cell]],
    open_bench: Callable[[str, Path], Callable[[Cell], dict[str, Any]]],
    outcome: Callable[[dict[str, Any]], str],
    *,
    count: bool = False,
) -> None:
    """Measures the selected cells of the selected models that have not been measured.

    Args:
        options: With ``models``, ``select``, ``minutes`` and ``results``.
        cells_of: The cells of a model.
        open_bench: What measures them, from the model's name and a directory for its files.
        outcome: What is said of a result.
        count: Only say how many cells are left.
    """
    results, pattern = Results(options.results), re.compile(options.select)
    deadline = time.monotonic() + 60 * options.minutes
    for name in options.models:
        done = results.keys()
        waiting = [cell for cell in cells_of(name) if cell.key not in done and pattern.search(cell.label)]
        print(f"{name}: {len(waiting)} cells", file=sys.stderr, flush=True)
        if waiting and not count:
            with tempfile.TemporaryDirectory() as directory:
                measure_cells(open_bench(name, Path(directory)), waiting, results, deadline, outcome)


def publish(parts: Mapping[str, str], document: Path | None) -> None:
    """Prints the sections of a report, or puts them into the marked parts of a document."""
    if document is None:
        print("\n\n".join(f"### {name}\n\n{text}" for name, text in parts.items()))
    else:
        document.write_text(fill(document.read_text(encoding="utf-8"), parts), encoding="utf-8")


def run_verb(options: argparse.Namespace) -> None:
    """Calls the function of the verb; what a user can mend ends the process with one line."""
    try:
        options.function(options)
    except EdgeqError as error:
        sys.exit(f"error: {error}")
