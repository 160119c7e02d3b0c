# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile --layers``, and the times that ``edgeq export --max-latency --device`` needs."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from edgeq.cli.console import progress_bars, write_file
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.allocation.costs import LayerCosts
    from edgeq.layer_timing import LayerRequest
    from edgeq.recipe import Recipe

RUNS = 20  # of every repetition: one is over in microseconds
LENGTH = 512

Layers = Annotated[
    bool,
    Option(
        "--layers",
        help="Time each matrix product of a model under each of --candidates, for edgeq export --max-latency; BUNDLE "
        "is then a checkpoint.",
    ),
]
Candidates = Annotated[
    str | None, Option("--candidates", help="With --layers: schemes. (default: 2, 3, 4 and 8 bits)", show_default=False)
]
Vocabulary = Annotated[
    str | None, Option("--vocabulary", help="With --layers: scheme of the output head.", show_default=False)
]


def profile_layers(
    model: str,
    candidates: str | None,
    vocabulary: str | None,
    *,
    length: int,
    device: str,
    threads: int,
    repetitions: int,
    library: Path | None,
    python: str | None,
    output_format: str,
    output: Path | None,
) -> None:
    """Times a model's products; a table, or the JSON that ``--layer-costs`` takes.

    Args:
        model: Checkpoint directory or hub id.
        candidates: Schemes, separated by commas.
        vocabulary: Scheme of the output head.
        length: Of the sentence that an encoder reads; a decoder is timed on one token.
        device: As ``--device`` names it.
        threads: Threads; 0 for one per physical core.
        repetitions: Each of `RUNS` timed runs.
        library: Operators for the board.
        python: Interpreter there.
        output_format: ``md`` or ``json``.
        output: File, in place of stdout; of a name that ends in .json, JSON.

    Raises:
        EdgeqError: As `edgeq.layer_timing.time_layers`.
    """
    from edgeq.recipe import Recipe

    if output_format not in ("md", "json"):
        raise EdgeqError(
            "unknown format", field="--format", found=repr(output_format), wanted="md or json with --layers"
        )
    recipe = Recipe(model=model, vocabulary=vocabulary)
    request = layer_request(recipe, candidates.split(",") if candidates else None, device, threads)
    tokens = 1 if request.tokens == 1 else length
    costs = _time(replace(request, tokens=tokens, repetitions=RUNS * repetitions, library=library, python=python))
    as_json = output_format == "json" or (output is not None and output.suffix == ".json")
    text = costs.model_dump_json(indent=1) + "\n" if as_json else _table(costs)
    if output is None:
        print(text, end="")
    else:
        write_file(output, text.encode())


def layer_request(recipe: Recipe, candidates: list[str] | None, device: str, threads: int = 0) -> LayerRequest:
    """What a recipe's budget has to know about a board.

    Raises:
        EdgeqError: There is no such model, or a scheme does not exist.
    """
    from edgeq.allocation.candidates import default_candidates, parse_candidates
    from edgeq.checkpoint import Checkpoint, resolve_model
    from edgeq.layer_timing import LayerRequest
    from edgeq.schemes import Scheme

    plan = recipe.plan()
    checkpoint = Checkpoint(resolve_model(recipe.model, recipe.revision))
    schemes = parse_candidates(candidates) if candidates else default_candidates(Scheme.parse(recipe.scheme))
    pinned = [scheme for _, scheme in plan.overrides]
    head = plan.vocabulary or plan.default
    return LayerRequest(checkpoint, schemes, head, tuple(pinned), _tokens(checkpoint.config), device, threads)


def remembered_costs(recipe: Recipe, candidates: list[str] | None, device: str, cache: Path | None) -> Path:
    """The file of a board's times: measured now, unless the same was measured there before.

    Args:
        recipe: The export.
        candidates: Schemes.
        device: As ``--device`` names it.
        cache: Where files are kept; by default the user's cache directory.

    Raises:
        EdgeqError: As `edgeq.layer_timing.time_layers`.
    """
    request = layer_request(recipe, candidates, device)
    parts = [device, request.checkpoint.fingerprint, request.vocabulary, *request.candidates, *request.pinned]
    name = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]
    path = (cache or _default_cache()) / f"layer-costs-{name}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, _time(request).model_dump_json(indent=1).encode())
    return path


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeq" / "layer-costs"


def _tokens(config: dict[str, object]) -> int:
    architectures = config.get("architectures")
    names = architectures if isinstance(architectures, list) else []
    return 1 if any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in names) else LENGTH


def _time(request: LayerRequest) -> LayerCosts:
    from edgeq.layer_timing import time_layers

    with progress_bars() as progress:
        return time_layers(request, progress)


def _table(costs: LayerCosts) -> str:
    from edgeq_devices.tables import aligned_table

    rows = [
        [
            f"{'+'.join(map(str, product.rows))}×{product.columns}",
            product.scheme,
            f"{product.nanoseconds / 1000:.1f}",
            "" if product.joules is None else f"{1e6 * product.joules:.1f}",
        ]
        for product in costs.products
    ]
    lines = [
        aligned_table(["product", "scheme", "µs", "µJ"], rows, text_columns=("product", "scheme")),
        f"{costs.device} ({costs.board}), {costs.cpu}, {costs.instruction_set}, {costs.threads} threads, "
        f"{costs.tokens} tokens; median of each product\n",
        *(f"{flag}\n" for flag in costs.flags),
    ]
    return "".join(lines)
