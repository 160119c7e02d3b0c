# SPDX-License-Identifier: Apache-2.0
"""Times of a model's matrix products on a board, which ``edgeq export --max-latency --device`` needs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.cli.console import progress_bars, write_file

if TYPE_CHECKING:
    from edgeq.allocation.costs import LayerCosts
    from edgeq.layer_timing import LayerRequest
    from edgeq.recipe import Recipe

LENGTH = 512


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
        write_file(path, time_products(request).model_dump_json(indent=1).encode())
    return path


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeq" / "layer-costs"


def _tokens(config: dict[str, object]) -> int:
    architectures = config.get("architectures")
    names = architectures if isinstance(architectures, list) else []
    return 1 if any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in names) else LENGTH


def time_products(request: LayerRequest) -> LayerCosts:
    """The times, measured with progress on stderr.

    Raises:
        EdgeqError: As `edgeq.layer_timing.time_layers`.
    """
    from edgeq.layer_timing import time_layers

    with progress_bars() as progress:
        return time_layers(request, progress)
