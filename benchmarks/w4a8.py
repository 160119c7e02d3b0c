# SPDX-License-Identifier: Apache-2.0
"""Weights of 3 and 4 bits with activations of 8: the experiment of arXiv 2311.05161 on models that fit here.

    python benchmarks/w4a8.py run --data DIR --models stories260K --minutes 30
    python benchmarks/w4a8.py table --write docs/w4a8.md

`run` adds a line of JSON per cell to w4a8.jsonl and leaves out what is there, so that it can be stopped and started
again. DIR as for accuracy.py. `--evaluate eager` runs the quantized model in PyTorch instead of the exported bundle.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from evidence.cells import Cell
from evidence.command import measure_models, publish, run_verb
from evidence.outlier_model import SUFFIX, with_outliers
from evidence.results import Results
from evidence.subjects import DECODERS, ENCODER, Subject, load_subject
from evidence.synthetic import run_synthetic, synthetic_cells
from evidence.verbs import Verbs, add_minutes, add_selection, add_subjects
from evidence.w4a8_bench import Evaluation, W4A8Bench
from evidence.w4a8_grid import outlier_cells, w4a8_cells
from evidence.w4a8_table import w4a8_sections

SYNTHETIC_LAYERS = "synthetic"
MEASURES = ("loss_difference", "mean_cosine")


def run(options: argparse.Namespace) -> None:
    """Measures the selected cells that have not been measured."""
    torch.set_num_threads(1)
    measure_models(options, _cells, partial(_open_bench, options.data, options.evaluate), _outcome)


def _open_bench(data: Path, evaluate: Evaluation, name: str, directory: Path) -> Callable[[Cell], dict[str, Any]]:
    if name == SYNTHETIC_LAYERS:
        return run_synthetic
    return W4A8Bench(_subject(name, data, directory), directory, evaluate).run


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
    verbs = Verbs(__doc__, Path(__file__).with_suffix(".jsonl"))
    verb = verbs.add("run", run, "measure cells")
    models = [SYNTHETIC_LAYERS, *DECODERS, *(f"{model}{SUFFIX}" for model in DECODERS), ENCODER]
    add_subjects(verb, models, help=", ".join(models))
    add_selection(verb)
    add_minutes(verb)
    verb.add_argument("--evaluate", choices=("bundle", "eager"), default="bundle")
    verbs.add_table(render)
    return verbs.parse()


if __name__ == "__main__":
    run_verb(arguments())
