# SPDX-License-Identifier: Apache-2.0
"""Quantization after training against quantization-aware training, with and without γ.

    python benchmarks/ptq_vs_qat.py run --data DIR --work WORK --models stories260K --minutes 30
    python benchmarks/ptq_vs_qat.py speed --data DIR
    python benchmarks/ptq_vs_qat.py table --write docs/ptq-vs-qat.md

`run` quantizes or trains, exports and evaluates through the bundle, and adds a line of JSON for each variant; what the
results hold already is left out, and a training that was cut off goes on. `speed` profiles one
bundle per scheme; run it on an idle machine. DIR holds `models/` and `data/` (docs/ptq-vs-qat.md says which).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from evidence.command import conditions, publish, run_verb
from evidence.results import Record, Results
from evidence.subjects import load_subject
from evidence.verbs import Verbs, add_minutes, add_subjects, names
from trained.bench import Bench
from trained.speed import measure_speed
from trained.tables import sections
from trained.variants import MODELS, variants

from edgeq.errors import EdgeqError
from edgeq.training.loop import StepReport

ACCURACY = Path(__file__).with_name("accuracy.jsonl")


def run(options: argparse.Namespace) -> None:
    """Measures what has not been measured."""
    torch.set_num_threads(1)
    results, deadline = Results(options.results), time.monotonic() + 60 * options.minutes
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        with tempfile.TemporaryDirectory() as scratch:
            bench = Bench(load_subject(name, options.data), options.data, options.work, Path(scratch))
            _measure(bench, results, options, deadline)


def _measure(bench: Bench, results: Results, options: argparse.Namespace, deadline: float) -> None:
    # Some of the cells are among those of docs/accuracy.md, on the same windows.
    name, done = bench.subject.name, results.keys() | Results(ACCURACY).keys()
    for variant in variants():
        cell = variant.cell(name)
        methods, widths = options.methods or [variant.method], options.bits or [variant.bits]
        chosen = variant.method in methods and variant.bits in widths
        if cell.key in done or not chosen or time.monotonic() > deadline:
            continue
        start = time.perf_counter()
        try:
            result = bench.run(variant, _report)
        except EdgeqError as error:
            print(f"{cell.label}: {error}", file=sys.stderr, flush=True)
            continue  # tried again next time
        result["seconds"] = time.perf_counter() - start
        results.append(Record(cell, result, conditions()))
        print(
            f"{cell.label}: {result['loss_difference']:+.4f}, {result['seconds']:.0f} s",
            file=sys.stderr,
            flush=True,
        )


def speed(options: argparse.Namespace) -> None:
    """Profiles one bundle per model and scheme."""
    for name in options.models:
        checkpoint = load_subject(name, options.data).checkpoint
        measure_speed(name, checkpoint, options.results.with_name("ptq_vs_qat_speed.jsonl"))


def _report(step: StepReport) -> None:
    if step.step % 25 == 0:
        print(f"  step {step.step} of {step.steps}, loss {step.loss:.4f}", file=sys.stderr, flush=True)


def render(options: argparse.Namespace) -> None:
    """Prints the sections, or puts them into a document."""
    parts = sections(
        [*Results(ACCURACY), *Results(options.results)], options.results.with_name("ptq_vs_qat_speed.jsonl")
    )
    publish(parts, options.write)


def arguments() -> argparse.Namespace:
    verbs = Verbs(__doc__, Path(__file__).with_suffix(".jsonl"))
    verb = verbs.add("run", run, "measure variants")
    add_subjects(verb, MODELS)
    verb.add_argument("--work", type=Path, required=True, help="where trained checkpoints are kept")
    verb.add_argument("--methods", type=names, help="only these, such as rtn,gptq,qat")
    verb.add_argument("--bits", type=lambda text: [int(part) for part in text.split(",")], help="only these")
    add_minutes(verb, "no variant")
    add_subjects(verbs.add("speed", speed, "profile the bundles"), MODELS)
    verbs.add_table(render)
    return verbs.parse()


if __name__ == "__main__":
    run_verb(arguments())
