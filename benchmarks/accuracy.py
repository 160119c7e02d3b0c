# SPDX-License-Identifier: Apache-2.0
"""What quantization costs in quality: every method, scheme and model, and other tools beside it.

    python benchmarks/accuracy.py run --data DIR --parts core --models stories260K --select 'w3.* gptq' --minutes 30
    python benchmarks/accuracy.py table --write docs/accuracy.md

`run` quantizes, exports and evaluates through the exported bundle, one cell after the other, and adds a line of JSON
for each; cells that the results hold already are left out, so that it can be stopped and started again. DIR holds
`models/` and `data/` (docs/accuracy.md says which). `table` puts the results into the document.
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
from evidence.bench import Bench
from evidence.command import measure_cells, publish, run_verb
from evidence.grid import PARTS, cells_of
from evidence.results import Results
from evidence.subjects import DECODERS, ENCODER, load_subject
from evidence.table import sections

MEASURES = ("loss_difference", "mean_cosine", "relative_error", "unsuitable")


def run(options: argparse.Namespace) -> None:
    """Measures the selected cells that have not been measured."""
    torch.set_num_threads(1)
    results, pattern = Results(options.results), re.compile(options.select)
    deadline = time.monotonic() + 60 * options.minutes
    for name in options.models:
        done = results.keys()
        waiting = [
            cell for cell in cells_of(name, options.parts) if cell.key not in done and pattern.search(cell.label)
        ]
        print(f"{name}: {len(waiting)} cells", file=sys.stderr, flush=True)
        if waiting and not options.count:
            with tempfile.TemporaryDirectory() as directory:
                bench = Bench(load_subject(name, options.data), Path(directory))
                measure_cells(bench.run, waiting, results, deadline, _outcome)


def _outcome(result: dict[str, Any]) -> str:
    name = next((name for name in MEASURES if name in result), None)
    value = result[name] if name else "done"
    text = value if isinstance(value, str) else f"{value:+.4f}"
    return f"{name} {text}, {result.get('bits_per_weight', 0):.3f} bits"


def render(options: argparse.Namespace) -> None:
    """Prints the sections, or puts them into a document."""
    parts = sections(Results(options.results))
    publish(parts, options.write)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    measure = verbs.add_parser("run", help="measure cells")
    measure.set_defaults(function=run)
    measure.add_argument("--data", type=Path, required=True, help="directory with models/ and data/")
    measure.add_argument("--models", type=lambda text: text.split(","), default=[*DECODERS, ENCODER])
    measure.add_argument("--parts", type=lambda text: text.split(","), default=PARTS, help=", ".join(PARTS))
    measure.add_argument("--select", default="", help="regular expression that a cell's label must contain")
    measure.add_argument("--minutes", type=float, default=1e6, help="start no cell after so long")
    measure.add_argument("--count", action="store_true", help="only say how many cells are left")
    table = verbs.add_parser("table", help="render the results")
    table.set_defaults(function=render)
    table.add_argument("--write", type=Path, help="document whose marked parts are replaced")
    for verb in (measure, table):
        verb.add_argument("--results", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    return parser.parse_args()


if __name__ == "__main__":
    run_verb(arguments())
