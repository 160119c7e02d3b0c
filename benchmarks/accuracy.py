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
from pathlib import Path
from typing import Any

import torch
from evidence.bench import Bench
from evidence.command import measure_models, publish, run_verb
from evidence.grid import PARTS, cells_of
from evidence.results import Results
from evidence.subjects import DECODERS, ENCODER, load_subject
from evidence.table import sections
from evidence.verbs import Verbs, add_minutes, add_selection, add_subjects, names

MEASURES = ("loss_difference", "mean_cosine", "relative_error", "unsuitable")


def run(options: argparse.Namespace) -> None:
    """Measures the selected cells that have not been measured."""
    torch.set_num_threads(1)
    measure_models(
        options,
        lambda name: cells_of(name, options.parts),
        lambda name, directory: Bench(load_subject(name, options.data), directory).run,
        _outcome,
        count=options.count,
    )


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
    verbs = Verbs(__doc__, Path(__file__).with_suffix(".jsonl"))
    verb = verbs.add("run", run, "measure cells")
    add_subjects(verb, [*DECODERS, ENCODER])
    verb.add_argument("--parts", type=names, default=PARTS, help=", ".join(PARTS))
    add_selection(verb)
    add_minutes(verb)
    verb.add_argument("--count", action="store_true", help="only say how many cells are left")
    verbs.add_table(render)
    return verbs.parse()


if __name__ == "__main__":
    run_verb(arguments())
