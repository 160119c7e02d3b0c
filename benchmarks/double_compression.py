# SPDX-License-Identifier: Apache-2.0
"""Double compression: size, quality, speed and memory of entropy-coded weights (docs/compression.md).

    python benchmarks/double_compression.py quality --data DIR --models books-6m,all-MiniLM-L6-v2 --minutes 30
    python benchmarks/double_compression.py codecs
    edgeq export CHECKPOINT --scheme w8 --method ecsq --method-option ecsq.bits=3.6 -o w8      # 1.1B shapes
    edgeq compress w8 -o w8-nibble --mode use --codec nibble                                   # and so on
    python benchmarks/double_compression.py plans w8 adaptive -t 2
    python benchmarks/double_compression.py speed w8 w8-load w8-use w8-nibble adaptive/* -t 2
    python benchmarks/double_compression.py limit w8 w8-nibble --memory 900MB
    python benchmarks/double_compression.py table --write docs/compression.md

Every verb but `table` appends lines of JSON to the results. DIR holds `models/` and `data/` (docs/accuracy.md). `speed`
runs all bundles in turns, each in a process of its own; `limit` runs them in processes that may not have more memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from evidence.cells import Cell
from evidence.command import publish, run_verb
from evidence.double.codecs import measure_codecs
from evidence.double.grid import cells_of
from evidence.double.limit import run_limited
from evidence.double.plans import write_plans
from evidence.double.quality import CompressionBench
from evidence.double.records import Lines
from evidence.double.speed import measure_bundles
from evidence.double.tables import sections
from evidence.subjects import ENCODER, load_subject
from evidence.verbs import Verbs, add_minutes, add_subjects

from edgeq.cli.console import parse_bytes
from edgeq.errors import EdgeqError


def quality(options: argparse.Namespace) -> None:
    """Measures the cells that the results lack."""
    torch.set_num_threads(1)
    lines, deadline = Lines(options.results), time.monotonic() + 60 * options.minutes
    for name in options.models:
        done = {line["cell"] for line in lines.of("quality")}
        waiting = [cell for cell in cells_of(name) if cell.key not in done]
        print(f"{name}: {len(waiting)} cells", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as directory:
            bench = CompressionBench(load_subject(name, options.data), Path(directory))
            for cell in waiting:
                if time.monotonic() > deadline:
                    return
                _run(bench, cell, lines)


def _run(bench: CompressionBench, cell: Cell, lines: Lines) -> None:
    start = time.perf_counter()
    try:
        result = bench.run(cell)
    except EdgeqError as error:
        print(f"{cell.label}: {error}", file=sys.stderr, flush=True)
        return
    lines.append("quality", {"cell": cell.key, "result": result})
    print(f"{cell.label}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)


def codecs(options: argparse.Namespace) -> None:
    """Measures coders on matrices of known distributions."""
    _keep(options, "codecs", measure_codecs(options.rows, options.columns))


def plans(options: argparse.Namespace) -> None:
    """Writes bundles by measurement, for several memory budgets and slowdowns, with what is predicted of them."""
    _keep(options, "plan", write_plans(options.bundle, options.output, options.memory, options.slowdown, options.t))


def speed(options: argparse.Namespace) -> None:
    """Measures bundles of one model."""
    _keep(options, "speed", measure_bundles(options.bundles, options.p, options.n, options.t, options.r))


def limit(options: argparse.Namespace) -> None:
    """Runs bundles within a memory limit."""
    memory = parse_bytes(options.memory, "--memory")
    _keep(options, "limit", (run_limited(bundle, memory, options.n, options.t) for bundle in options.bundles))


def _keep(options: argparse.Namespace, kind: str, found: Iterable[dict[str, Any]]) -> None:
    """Appends each result as soon as it is there."""
    lines = Lines(options.results)
    for result in found:
        lines.append(kind, result)
        print(result, file=sys.stderr, flush=True)


def render(options: argparse.Namespace) -> None:
    """Prints the tables, or puts them into a document."""
    parts = sections(Lines(options.results))
    publish(parts, options.write)


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",") if part]


def arguments() -> argparse.Namespace:
    verbs = Verbs(__doc__, Path(__file__).with_suffix(".jsonl"))
    verb = verbs.add("quality", quality)
    add_subjects(verb, ["books-6m", ENCODER])
    add_minutes(verb)
    verb = verbs.add("codecs", codecs)
    verb.add_argument("--rows", type=int, default=2048)
    verb.add_argument("--columns", type=int, default=5632)
    _add_plans(verbs)
    _add_speed(verbs)
    _add_limit(verbs)
    verbs.add_table(render)
    return verbs.parse()


def _add_plans(verbs: Verbs) -> None:
    verb = verbs.add("plans", plans)
    verb.add_argument("bundle", type=Path, help="with raw weights")
    verb.add_argument("output", type=Path, help="directory of the new bundles")
    verb.add_argument("--memory", type=_numbers, default=[0.8, 0.6], help="budgets, over the memory of the raw tensors")
    verb.add_argument("--slowdown", type=_numbers, default=[1.1], help="slowdowns")
    verb.add_argument("-t", type=int, default=2, help="threads")


def _add_speed(verbs: Verbs) -> None:
    verb = verbs.add("speed", speed)
    verb.add_argument("bundles", type=Path, nargs="+", help="the first one is what the others are compared with")
    for name, default, what in (("p", 128, "prompt"), ("n", 32, "generated tokens"), ("r", 3, "rounds")):
        verb.add_argument(f"-{name}", type=int, default=default, help=what)
    verb.add_argument("-t", type=int, default=2, help="threads")


def _add_limit(verbs: Verbs) -> None:
    verb = verbs.add("limit", limit)
    verb.add_argument("bundles", type=Path, nargs="+")
    verb.add_argument("--memory", required=True, help="such as 900MB")
    verb.add_argument("-n", type=int, default=16, help="generated tokens")
    verb.add_argument("-t", type=int, default=2, help="threads")


if __name__ == "__main__":
    run_verb(arguments())
