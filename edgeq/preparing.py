# SPDX-License-Identifier: Apache-2.0
"""What a recipe needs before anything is quantized: its checks, its calibration, the schemes of its budget."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.checkpoint import Checkpoint, resolve_model
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.bundle.manifest import AllocationRecord
    from edgeq.progress import Progress
    from edgeq.quantization.blockwise import Calibration
    from edgeq.quantization.plan import Plan
    from edgeq.recipe import Recipe

logger = logging.getLogger(__name__)


def with_trained_schemes(recipe: Recipe) -> Recipe:
    """The schemes under which a checkpoint was trained, where the recipe names none of its own."""
    from edgeq.quantization.trained import QUANTIZERS_NAME, read_quantizers

    chosen = {"scheme", "vocabulary", "layers", "skip"} & recipe.model_fields_set
    if recipe.method != "qat" and (Path(recipe.model) / QUANTIZERS_NAME).is_file():
        logger.warning("%s holds trained quantizers; only --method qat packs what was trained", recipe.model)
    if recipe.method != "qat" or chosen:
        return recipe
    return recipe.model_copy(update=read_quantizers(resolve_model(recipe.model, recipe.revision)).settings)


def check_calibration(recipe: Recipe, plan: Plan) -> None:
    """Checks that there is a calibration where methods need one, and for ONNX files neither is.

    Raises:
        EdgeqError: It is not so.
    """
    from edgeq.quantization.quantize import check_calibrated

    if recipe.model.endswith(".onnx"):
        _check_onnx(recipe, plan)
    else:
        check_calibrated(plan, recipe.calibration is not None)


def _check_onnx(recipe: Recipe, plan: Plan) -> None:
    """Refuses what takes a model that computes in PyTorch."""
    if recipe.budget is not None:
        raise EdgeqError("no budget for ONNX files", field="budget", remedy="give the checkpoint instead")
    if recipe.calibration is not None or plan.pipeline.calibrated:
        raise EdgeqError(
            "no calibration for ONNX files",
            field="--method",
            found=str(plan.pipeline),
            wanted="rtn without --calibration",
            remedy="give the checkpoint instead of its ONNX file",
        )
    if plan.static_activations:
        raise EdgeqError(
            "no static scales of activations for ONNX files", field="--scheme", found=recipe.scheme, wanted="a8t"
        )
    if any(scheme.auto for scheme in plan.schemes):
        raise EdgeqError(
            "no choice of formats for ONNX files", field="--scheme", found=recipe.scheme, wanted="one format"
        )


def check_cache(recipe: Recipe) -> None:
    """Checks, before any work, that the cache can be quantized as the recipe says.

    Raises:
        EdgeqError: It cannot, or there is no such scheme.
    """
    if recipe.kv_cache is None:
        return
    from edgeq.kv_cache import check_cached, parse_kv_cache

    parse_kv_cache(recipe.kv_cache)
    if recipe.model.endswith(".onnx"):
        raise EdgeqError("no quantized cache for ONNX files", field="--kv-cache", remedy="give the checkpoint instead")
    checkpoint = Checkpoint(resolve_model(recipe.model, recipe.revision))
    check_cached(checkpoint.config, recipe.calibration is not None)


def read_calibration(recipe: Recipe, checkpoint: Checkpoint, work: Path | None) -> Calibration | None:
    """The calibration of a recipe, if it has one.

    Args:
        recipe: What to do.
        checkpoint: The model.
        work: Where the run keeps its finished blocks; ``None`` where nothing is going to be quantized.

    Raises:
        EdgeqError: As `edgeq.calibrating.read_recipe_calibration`.
    """
    from edgeq.calibrating import read_recipe_calibration

    # Without a place for finished blocks nothing is going to be quantized: no time is spent on comparing lengths.
    return read_recipe_calibration(recipe, checkpoint, None if work is None else recipe.plan(), work)


def allocate(
    recipe: Recipe,
    checkpoint: Checkpoint,
    calibration: Calibration | None,
    cache: Path | None,
    progress: Progress | None,
) -> tuple[Recipe, AllocationRecord | None]:
    """The recipe with the schemes that its budget chooses, if it has one.

    Raises:
        EdgeqError: As `edgeq.budgeting.apply_budget`.
    """
    if recipe.budget is None:
        return recipe, None
    from edgeq.budgeting import apply_budget

    return apply_budget(recipe, checkpoint, calibration, cache=cache, progress=progress)
