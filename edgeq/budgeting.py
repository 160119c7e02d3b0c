# SPDX-License-Identifier: Apache-2.0
"""A recipe with a budget becomes one with a scheme for every layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.allocation.budget import Budget, option_of
from edgeq.allocation.candidates import default_candidates, parse_candidates
from edgeq.allocation.costs import read_layer_costs
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.quantization.plan import Plan, matches
from edgeq.remainder import estimate_rest
from edgeq.schemes import Scheme

if TYPE_CHECKING:
    from edgeq.allocation.sensitivity.table import Kind
    from edgeq.bundle.manifest import AllocationRecord
    from edgeq.progress import Progress
    from edgeq.quantization.blockwise import Calibration
    from edgeq.quantization.skeleton import Target
    from edgeq.recipe import Recipe


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
    free, candidates = _free_layers(recipe, targets), _candidates(recipe, budget)
    kind: Kind = budget.sensitivity or ("noise" if model.can_generate() else "output")
    question = Question(checkpoint, plan, candidates, kind, calibration, free)
    table = cached_table(question, cache or default_cache(), progress)
    rest = estimate_rest(model, checkpoint, recipe, targets, {layer.name for layer in table.layers})
    allocation = allocate(table, budget, rest, costs)
    layers = {**allocation.layers, **recipe.layers}
    return recipe.model_copy(update={"budget": None, "layers": layers}), allocation.record


def _free_layers(recipe: Recipe, targets: Sequence[Target]) -> frozenset[str]:
    """The layers that the budget decides on."""
    free = [target.name for target in targets if not target.vocabulary and not _is_pinned(recipe, target)]
    if not free:
        raise EdgeqError("no layers to allocate", field="budget", wanted="linear layers without --layer or --skip")
    return frozenset(free)


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
