# SPDX-License-Identifier: Apache-2.0
"""Weights of 3 and 4 bits with activations of 8: the experiment of arXiv 2311.05161 on models that fit here.

    python benchmarks/w4a8.py run --data DIR --models stories260K --minutes 30
    python benchmarks/w4a8.py table --write docs/w4a8.md

`run` adds a line of JSON per cell to w4a8.jsonl and leaves out what is there, so that it can be stopped and started
again. DIR as for accuracy.py. `--evaluate eager` runs the quantized model in PyTorch instead of the exported bundle.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from evidence.cells import Cell
from evidence.command import measure_cells, publish, run_verb
from evidence.outlier_model import SUFFIX, with_outliers
from evidence.results import Results
from evidence.subjects import DECODERS, ENCODER, Subject, load_subject
from evidence.synthetic import run_synthetic, synthetic_cells
from evidence.w4a8_bench import W4A8Bench
from evidence.w4a8_grid import outlier_cells, w4a8_cells
from evidence.w4a8_table import w4a8_sections

SYNTHETIC_LAYERS = "synthetic"
MEASURES = ("loss_difference", "mean_cosine")


def run(options: argparse.Namespace) -> None:
    """Measures the selected cells that have not been measured."""
    torch.set_num_threads(1)
    results, pattern = Results(options.results), re.compile(options.select)
    deadline = time.monotonic() + 60 * options.minutes
    for name in options.models:
        done = results.keys()
        cells = _cells(name)
        waiting = [cell for cell in cells if cell.key not in done and pattern.search(cell.label)]
        print(f"{name}: {len(waiting)} cells", file=sys.stderr, flush=True)
        if waiting:
            with tempfile.TemporaryDirectory() as directory:
                measure = run_synthetic
                if name != SYNTHETIC_LAYERS:
                    subject = _subject(name, options.data, Path(directory))
                    measure = W4A8Bench(subject, Path(directory), options.evaluate).run
                measure_cells(measure, waiting, results, deadline, _outcome)


def _cells(name: str) -> list[Cell]:
    if name == SYNTHETIC_LAYERS:
        return synthetic_cells()
    return outlier_cells(name) if name.endswith(SUFFIX) else w4a8_cells(name)


def _subject(name: str, data: Path, directory: Path) -> Subject:
    subject = load_subject(name.removesuffix(SUFFIX), data)
    return with_outliers(subject, directory) if name.endswith(SUFFIX) else subject


def _outcome(result: dict[str, Any]) -> str:
    return next((f"{name} {result[name]:+.4f}" for name in MEASURES if name in result), "done")


def render(options: argparse.Namespace) -> None:
    """Prints the sections, or puts them into a document."""
    parts = w4a8_sections(Results(options.results))
    publish(parts, options.write)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    measure = verbs.add_parser("run", help="measure cells")
    measure.set_defaults(function=run)
    measure.add_argument("--data", type=Path, required=True, help="directory with models/ and data/")
    models = [SYNTHETIC_LAYERS, *DECODERS, *(f"{model}{SUFFIX}" for model in DECODERS), ENCODER]
    measure.add_argument("--models", type=lambda text: text.split(","), default=models, help=", ".join(models))
    measure.add_argument("--select", default="", help="regular expression that a cell's label must contain")
    measure.add_argument("--minutes", type=float, default=1e6, help="start no cell after so long")
    measure.add_argument("--evaluate", choices=("bundle", "eager"), default="bundle")
    table = verbs.add_parser("table", help="render the results")
    table.set_defaults(function=render)
    table.add_argument("--write", type=Path, help="document whose marked parts are replaced")
    for verb in (measure, table):
        verb.add_argument("--results", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    return parser.parse_args()


if __name__ == "__main__":
    run_verb(arguments())
