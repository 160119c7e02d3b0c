# SPDX-License-Identifier: Apache-2.0
"""Mixed precision against uniform allocation at the same stored size, and predicted against measured loss change.

    python benchmarks/allocation.py run --data DIR --models stories260K,babyllama-tok361,books-6m
    python benchmarks/allocation.py table --write docs/allocation.md

`run` allocates, quantizes, exports and evaluates through the exported bundle, and adds a line of JSON for each
allocation; those that the results hold already are left out. DIR holds `models/` and `data/` (docs/accuracy.md).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from evidence.command import conditions, publish, run_verb
from evidence.subjects import DECODERS, load_subject
from evidence.verbs import Verbs, add_minutes, add_subjects, names
from mixed.allocations import Allocation, Allocations
from mixed.measure import Measure
from mixed.report import plots, sections

from edgeq.allocation.sensitivity.table import KINDS

METHODS = ("gptq", "rtn")
PARTS = ("budgets", "plot", "split")


def run(options: argparse.Namespace) -> None:
    """Measures what the results lack."""
    torch.set_num_threads(1)
    deadline = time.monotonic() + 60 * options.minutes
    for model in options.models:
        subject = load_subject(model, options.data)
        with tempfile.TemporaryDirectory() as directory:
            measure = Measure(subject, Path(directory))
            for method in options.methods:
                allocations = Allocations(subject, method, options.cache, options.kinds)
                chosen = {
                    "budgets": allocations.of_budgets,
                    "plot": allocations.of_plot,
                    "split": allocations.of_split,
                }
                for allocation in (allocation for part in options.parts for allocation in chosen[part]()):
                    if time.monotonic() > deadline:
                        return
                    _measure_new(measure, allocation, options.results)


def _measure_new(measure: Measure, allocation: Allocation, results: Path) -> None:
    key = [allocation.model, allocation.method, allocation.budget, allocation.name]
    known = [json.loads(line) for line in results.read_text().splitlines()] if results.is_file() else []
    if key in [record["key"] for record in known]:
        return
    same = [r["result"] for r in known if r["key"][:2] == key[:2] and r["layers"] == allocation.layers]
    start = time.perf_counter()
    result: dict[str, Any] = same[0] if same else measure.run(allocation)
    record = {
        "key": key,
        "layers": allocation.layers,
        "predicted": allocation.predicted,
        "result": {"seconds": time.perf_counter() - start} | result,
        "conditions": conditions(),
    }
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    print(
        f"{key}: {result['loss_difference']:+.4f} at {result['bits_per_weight']:.3f} bits", file=sys.stderr, flush=True
    )


def render(options: argparse.Namespace) -> None:
    """Prints the sections, or puts them into a document, with its plots beside it."""
    records = [json.loads(line) for line in options.results.read_text().splitlines()]
    parts = sections(records)
    publish(parts, options.write)
    for name, content in plots(records).items() if options.write else ():
        (options.write.parent / name).write_text(content, encoding="utf-8")


def arguments() -> argparse.Namespace:
    verbs = Verbs(__doc__, Path(__file__).with_suffix(".jsonl"))
    verb = verbs.add("run", run, "measure")
    add_subjects(verb, DECODERS)
    verb.add_argument("--methods", type=names, default=METHODS)
    verb.add_argument("--kinds", type=names, default=KINDS, help="of sensitivities")
    verb.add_argument("--parts", type=names, default=PARTS)
    add_minutes(verb, "nothing")
    verb.add_argument("--cache", type=Path, required=True, help="where sensitivities are kept")
    verbs.add_table(render)
    return verbs.parse()


if __name__ == "__main__":
    run_verb(arguments())
