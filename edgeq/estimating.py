# SPDX-License-Identifier: Apache-2.0
"""What an export would produce and take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.checkpoint import Checkpoint, resolve_model
from edgeq.preparing import allocate, check_cache, check_calibration, read_calibration, with_trained_schemes

if TYPE_CHECKING:
    from edgeq.bundle.manifest import AllocationRecord, LayerRecord
    from edgeq.progress import Progress
    from edgeq.recipe import Recipe

# Measured on two Zen 4 cores: rounding with the error search, per weight; tracing, per layer; libraries in memory.
SECONDS_PER_WEIGHT = 15e-9
# A calibrated run multiplies: each block's inputs by its weights about three times, and the inputs by themselves.
FLOPS = 1e11
FORWARDS = 3
# AQAS, per weight and scale that is compared: rounding it and its product with the sample of inputs. Measured on two
# processors of an Intel Xeon server with AMX, weights of a 1.1B Llama's block as w4a8-dint.
SECONDS_PER_COMPARED_WEIGHT = 16e-9
SECONDS_PER_LAYER = 0.5
LIBRARY_BYTES = 600_000_000


@dataclass(frozen=True)
class Estimate:
    """What an export will take; an estimate, not a measurement.

    Attributes:
        layers: One record per weight matrix.
        data_bytes: Size of the quantized and kept matrices.
        memory_bytes: Peak anonymous memory of the export.
        seconds: Duration on two cores of a 2023 server.
        allocation: How a budget chose the schemes; to know that, the sensitivities are measured.
    """

    layers: list[LayerRecord]
    data_bytes: int
    memory_bytes: int
    seconds: float
    allocation: AllocationRecord | None = None


def estimate(recipe: Recipe, cache: Path | None = None, progress: Progress | None = None) -> Estimate:
    """What `edgeq.exporting.export_recipe` would produce and take, from shapes alone but for a budget's choice.

    Args:
        recipe: What would be done.
        cache: As there.
        progress: Told the stage ``sensitivities``.

    Raises:
        EdgeqError: As there.
    """
    records, allocation = _plan_layers(recipe, cache, progress)
    weights = [record.rows * record.columns for record in records]
    data = sum(record.size for record in records)
    memory, seconds = LIBRARY_BYTES + data + 8 * max(weights, default=0), SECONDS_PER_WEIGHT * sum(weights)
    if recipe.calibration is not None:
        memory, seconds = memory + _calibration_bytes(recipe, records), seconds + _calibration_seconds(recipe, records)
    return Estimate(records, data, memory, seconds + SECONDS_PER_LAYER * len(records), allocation)


def _calibration_bytes(recipe: Recipe, records: list[LayerRecord]) -> int:
    """Activations between blocks, and four float64 matrices of the widest inputs for statistics and factors."""
    from edgeq.quantization.blockwise import DEFAULT_MEMORY

    widest, width = max(record.columns for record in records), min(record.columns for record in records)
    return min(4 * _tokens(recipe) * width, DEFAULT_MEMORY) + 4 * 8 * widest**2


def _calibration_seconds(recipe: Recipe, records: list[LayerRecord]) -> float:
    folds = recipe.plan().pipeline.of_stage("fold")
    weights = sum(record.rows * record.columns for record in records)
    squares = sum(record.columns**2 / 2 for record in records)
    products = FORWARDS * weights + squares
    if folds:  # a block is observed once more before its weights are rescaled
        products += weights + squares
    compared: int = sum(step.options.comparisons for step in folds if step.method.samples)
    return 2 * _tokens(recipe) * products / FLOPS + SECONDS_PER_COMPARED_WEIGHT * compared * weights


def _tokens(recipe: Recipe) -> int:
    from edgeq.calibration.data import DEFAULT_LENGTH

    return recipe.samples * (recipe.length if isinstance(recipe.length, int) else DEFAULT_LENGTH)


def _plan_layers(
    recipe: Recipe, cache: Path | None, progress: Progress | None
) -> tuple[list[LayerRecord], AllocationRecord | None]:
    import edgeq_export

    recipe = with_trained_schemes(recipe)
    plan = recipe.plan()
    check_calibration(recipe, plan)
    check_cache(recipe)
    if recipe.model.endswith(".onnx"):
        return edgeq_export.plan_onnx_file(Path(recipe.model), plan).records, None
    from edgeq.quantization.quantize import plan_records
    from edgeq.quantization.skeleton import build_skeleton

    checkpoint = Checkpoint(resolve_model(recipe.model, recipe.revision))
    edgeq_export.check_supported(checkpoint, plan, portable=recipe.portable)
    calibration = read_calibration(recipe, checkpoint, None)
    recipe, allocation = allocate(recipe, checkpoint, calibration, cache, progress)
    return plan_records(build_skeleton(checkpoint), recipe.plan()), allocation
