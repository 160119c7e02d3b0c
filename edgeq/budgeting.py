# SPDX-License-Identifier: Apache-2.0
"""A recipe with a budget becomes one with a scheme for every layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.allocation.budget import Budget, option_of
from edgeq.allocation.candidates import default_candidates, parse_candidates
from edgeq.allocation.costs import read_layer_costs
from edgeq.allocation.resources import Rest
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.kv_cache import parse_kv_cache
from edgeq.quantization.plan import Plan, matches
from edgeq.schemes import Scheme

if TYPE_CHECKING:
    from edgeq.allocation.sensitivity.table import Kind
    from edgeq.bundle.manifest import AllocationRecord
    from edgeq.progress import Progress
    from edgeq.quantization.blockwise import Calibration
    from edgeq.quantization.skeleton import Target
    from edgeq.recipe import Recipe

PAGE = 4096  # what tensors are aligned to in a bundle
# Measured on bundles of 5 to 24 blocks: the graph and the manifest per matrix, documents, each with a margin.
GRAPH_BYTES, MANIFEST_BYTES, DOCUMENT_BYTES = 4_000, 900, 40_000
RUNTIME_BYTES = 60_000_000  # ONNX Runtime, the operators and Python with NumPy, resident without a model


def apply_budget(
    recipe: Recipe,
    checkpoint: Checkpoint,
    calibration: Calibration | None,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Recipe, AllocationRecord]:
    """Chooses the schemes of the layers that the recipe does not name itself.

    Args:
        recipe: With a budget. Layers that match its ``layers`` or ``skip`` keep what they are given there.
        checkpoint: The model.
        calibration: What its layers are observed on.
        cache: Where sensitivities are kept; by default `default_cache`.
        progress: Told the stage ``sensitivities``.

    Returns:
        The recipe with a scheme for every layer and without the budget, and what to record.

    Raises:
        EdgeqError: The budget cannot be met (the nearest feasible one is named), or the method does not go with it.
    """
    from edgeq.allocation.allocate import allocate
    from edgeq.allocation.sensitivity.cache import cached_table, default_cache
    from edgeq.allocation.sensitivity.measure import Question
    from edgeq.quantization.skeleton import build_skeleton, find_targets

    budget, plan = recipe.budget, recipe.plan()
    assert budget is not None
    _check_recipe(recipe, budget, plan)
    costs = read_layer_costs(Path(budget.layer_costs)) if budget.layer_costs else None
    model: Any = build_skeleton(checkpoint)
    targets = find_targets(model)
    plan.check_patterns(name for target in targets for name in target.names)
    free = [target.name for target in targets if not target.vocabulary and not _is_pinned(recipe, target)]
    if not free:
        raise EdgeqError("no layers to allocate", field="budget", wanted="linear layers without --layer or --skip")
    kind: Kind = budget.sensitivity or ("noise" if model.can_generate() else "output")
    question = Question(checkpoint, plan, _candidates(recipe, budget), kind, calibration, frozenset(free))
    table = cached_table(question, cache or default_cache(), progress)
    decided = {layer.name for layer in table.layers}
    rest = _rest(model, checkpoint, plan, [target for target in targets if target.name not in decided], recipe)
    allocation = allocate(table, budget, rest, costs)
    return recipe.model_copy(
        update={"budget": None, "layers": {**allocation.layers, **recipe.layers}}
    ), allocation.record


def check_size(budget: Budget, directory: Path) -> None:
    """Checks a finished bundle.

    Raises:
        EdgeqError: It is larger than the budget.
    """
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    if budget.max_size is not None and size > budget.max_size:
        raise EdgeqError(
            "bundle larger than its budget",
            file=directory,
            field=option_of("max_size"),
            found=f"{size} bytes",
            wanted=f"at most {budget.max_size}",
            remedy=f"repeat with --max-size {2 * budget.max_size - size}",
        )


def _check_recipe(recipe: Recipe, budget: Budget, plan: Plan) -> None:
    """Refuses what a budget cannot count."""
    limits = [option_of(name) for name in budget.limits()]
    if recipe.portable:
        raise EdgeqError("no budget for stock operators", field=limits[0], found="--portable", remedy="leave out one")
    if "qat" in str(plan.pipeline).split("+"):
        raise EdgeqError("schemes are those of the training", field=limits[0], found="--method qat")
    added = [step.method.name for step in plan.pipeline.of_stage("split", "correction")]
    if added:
        raise EdgeqError(
            "a budget counts codes and scales only",
            field=limits[0],
            found=f"--method {plan.pipeline}",
            remedy=f"leave out {added[0]}",
        )


def _candidates(recipe: Recipe, budget: Budget) -> tuple[Scheme, ...]:
    if budget.candidates is not None:
        return parse_candidates(budget.candidates)
    return default_candidates(Scheme.parse(recipe.scheme))


def _is_pinned(recipe: Recipe, target: Target) -> bool:
    return any(matches(pattern, name) for pattern in [*recipe.layers, *recipe.skip] for name in target.names)


def _rest(model: Any, checkpoint: Checkpoint, plan: Plan, others: Sequence[Target], recipe: Recipe) -> Rest:
    """What no budget decides on, sizes rounded up."""
    from edgeq.quantization.layers import layer_record, scheme_of

    records = {target.name: layer_record(target, scheme_of(plan, target)) for target in others}
    linear = [target for target in others if not target.vocabulary]
    tensors = sum(records[target.name].size for target in others if target.vocabulary) + _parameter_bytes(model)
    tables = _rotary_bytes(checkpoint.config)
    matrices = sum(1 for _ in model.modules() if _.__class__.__name__ in ("Linear", "Conv1D"))
    paper = DOCUMENT_BYTES + matrices * (GRAPH_BYTES + MANIFEST_BYTES + PAGE)
    files = sum(path.stat().st_size for path in [*_libraries(recipe.targets), *_companions(checkpoint.directory)])
    products = [(t.rows, t.columns, records[t.name].scheme) for t in others if t.kind != "embedding" or t.tied]
    return Rest(
        linear_bytes=sum(records[target.name].size for target in linear),
        linear_weights=sum(target.rows * target.columns for target in linear),
        bundle_bytes=tensors + tables + paper + files,
        memory_bytes=tensors + tables + _cache_bytes(checkpoint.config, recipe.kv_cache) + RUNTIME_BYTES,
        products=tuple(products),
    )


def _libraries(targets: Sequence[str]) -> list[Path]:
    """The operator libraries that a bundle for some platforms holds; this machine's without any."""
    from edgeq.bundle.platforms import current_platform
    from edgeq_ops.platforms import library_for

    here = current_platform()
    return [library_for(target, here) for target in dict.fromkeys(targets or [here])]


def _companions(directory: Path) -> list[Path]:
    from edgeq_export.companions import companion_files

    return list(companion_files(directory).values())


def _parameter_bytes(model: Any) -> int:
    """Parameters that stay float32, page by page: norms, biases, positions."""
    from edgeq.quantization.skeleton import find_targets

    matrices = {f"{name}.weight" for target in find_targets(model) for name in target.names}
    sizes = [4 * parameter.numel() for name, parameter in model.named_parameters() if name not in matrices]
    return sum(size + (PAGE if size >= PAGE else 0) for size in sizes)


def _rotary_bytes(config: dict[str, Any]) -> int:
    """Cosines and sines of every position; twice where blocks attend in two ways."""
    if "rope_theta" not in config and "rope_parameters" not in config:
        return 0
    ways = 2 if config.get("layer_types") or config.get("sliding_window_pattern") else 1
    return ways * 4 * int(config.get("max_position_embeddings", 0)) * _head_size(config)


def _cache_bytes(config: dict[str, Any], scheme: str | None) -> int:
    """Keys and values of a whole context, float32 without a scheme; none of an encoder."""
    layers = config.get("num_hidden_layers", config.get("n_layer", 0))
    heads = config.get("num_key_value_heads") or config.get("num_attention_heads", config.get("n_head", 0))
    positions = config.get("max_position_embeddings", config.get("n_positions", 0))
    decoder = any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in config.get("architectures") or [])
    bits = 32 if scheme is None else parse_kv_cache(scheme)
    return 2 * bits * math.prod((int(layers), int(heads), int(positions), _head_size(config))) // 8 if decoder else 0


def _head_size(config: dict[str, Any]) -> int:
    width = int(config.get("hidden_size", config.get("n_embd", 0)))
    heads = int(config.get("num_attention_heads", config.get("n_head", 1)))
    return int(config.get("head_dim") or width // heads)
