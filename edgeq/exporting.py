# SPDX-License-Identifier: Apache-2.0
"""From a recipe to a bundle: quantize, trace, write."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.bundle.platforms import current_platform
from edgeq.checkpoint import Checkpoint, resolve_model
from edgeq.errors import EdgeqError
from edgeq.presets import apply_preset
from edgeq.recipe import Recipe, build_recipe

if TYPE_CHECKING:
    from edgeq.bundle.manifest import AllocationRecord, LayerRecord, Manifest
    from edgeq.kv_cache import CacheScales
    from edgeq.progress import Progress
    from edgeq.quantization.blockwise import Calibration
    from edgeq.quantization.plan import Plan
    from edgeq.quantization.quantize import QuantizedModel
    from edgeq_export.compression.storing import Storage

logger = logging.getLogger(__name__)

# Measured on two Zen 4 cores: rounding with the error search, per weight; tracing, per layer; libraries in memory.
SECONDS_PER_WEIGHT = 15e-9
# A calibrated run multiplies: each block's inputs by its weights about three times, and the inputs by themselves.
FLOPS = 1e11
FORWARDS = 3
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


def export(
    model: str | Path,
    output: str | Path,
    *,
    bits: int | None = None,
    quality: str | None = None,
    scheme: str | None = None,
    vocabulary: str | None = None,
    layers: dict[str, str] | None = None,
    skip: list[str] | None = None,
    method: str | None = None,
    method_options: dict[str, Any] | None = None,
    clip: str | None = None,
    calibration: str | Path | None = None,
    samples: int | None = None,
    length: int | str | None = None,
    task_lengths: str | None = None,
    seed: int | None = None,
    portable: bool = False,
    compress: str | None = None,
    kv_cache: str | None = None,
    targets: list[str] | None = None,
    budget: dict[str, Any] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Quantizes a model and writes a bundle.

    Args:
        model: Checkpoint directory, ``.onnx`` file or hub id.
        output: Directory to create.
        bits: Bits per weight; scheme and method are then those of the quality.
        quality: ``fast``, ``balanced`` (default) or ``best``: a preset of `edgeq.presets`.
        scheme: Default scheme, e.g. ``w3g64-bcq``; ``w4g128`` if neither is given.
        vocabulary: Scheme of the token embedding and the output head; 8 bits if none is given.
        layers: Scheme by layer pattern.
        skip: Patterns of layers kept in float32.
        method: Quantization methods joined by ``+``; ``rtn`` if neither it nor bits are given.
        method_options: Options of the methods by ``METHOD.FIELD``.
        clip: Range of a group: ``l3``, ``mse`` or ``minmax``; by default as the method likes it.
        calibration: Text, JSON lines or token ids; most methods need it.
        samples: Calibration windows, 128 by default.
        length: Tokens per window, 512 by default; ``auto``: chosen by task lengths, or by error on held-out windows.
        task_lengths: Lengths of what the model will be used for (`edgeq.calibration.task_lengths`).
        seed: What the windows are drawn with.
        portable: Write stock ``MatMulNBits`` nodes, for places where no custom library may load.
        compress: Entropy-code the weights once more: ``load``, ``use``, or with a codec, such as ``use:nibble``.
        kv_cache: ``kv8`` or ``kv4``: keep keys and values of past tokens in 8 or 4 bits; by default as floats.
        targets: Platforms whose operator library the bundle holds; this machine's if none is named.
        budget: Fields of `edgeq.allocation.budget.Budget`, such as ``{"avg_bits": 3.5}``; each layer then gets the
            scheme with which the loss rises least.
        force: Replace ``output`` if it is not empty.
        progress: Told the stage, the steps done and the steps in all.

    Raises:
        EdgeqError: Anything a user can mend.
    """
    recipe = build_recipe(
        model=str(model),
        scheme=scheme,
        vocabulary=vocabulary,
        layers=layers,
        skip=skip,
        method=method,
        method_options=method_options,
        clip=clip,
        calibration=None if calibration is None else str(calibration),
        samples=samples,
        length=length,
        task_lengths=task_lengths,
        seed=seed,
        portable=portable or None,
        compress=compress,
        kv_cache=kv_cache,
        targets=targets,
        budget=budget,
    )
    recipe = apply_preset(recipe, bits=bits, quality=quality, scheme=scheme, method=method)
    return export_recipe(recipe, Path(output), force=force, progress=progress)


def export_recipe(
    recipe: Recipe,
    output: Path,
    *,
    force: bool = False,
    work: Path | None = None,
    memory: int | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Carries out a recipe.

    Args:
        recipe: What to do.
        output: Directory to create.
        force: Replace ``output`` if it is not empty.
        work: Where a calibrated run keeps its finished blocks, to continue there after an interruption; by default
            ``.NAME.work`` beside ``output``. It is deleted when the model is quantized.
        memory: Bytes that the activations of the calibration may take; beyond them they lie in a file.
        cache: Where the sensitivities that a budget needs are kept; by default in the user's cache directory.
        progress: As in `export`.

    Raises:
        EdgeqError: Anything a user can mend.
    """
    import edgeq_export

    recipe = _with_trained_schemes(recipe)
    plan = recipe.plan()
    edgeq_export.check_output(output, force=force)
    _check_calibrated(recipe, plan)
    _check_cache(recipe)
    storage = _storage(recipe)
    libraries = _operator_libraries(recipe)
    if recipe.model.endswith(".onnx"):
        return edgeq_export.export_onnx_file(
            Path(recipe.model),
            plan,
            output,
            portable=recipe.portable,
            compression=storage,
            libraries=libraries,
            force=force,
            progress=progress,
        )
    from edgeq.quantization.quantize import quantize_checkpoint

    checkpoint = Checkpoint(resolve_model(recipe.model, recipe.revision))
    edgeq_export.check_supported(checkpoint, plan, portable=recipe.portable)
    calibration = _read_calibration(recipe, checkpoint, work or output.absolute().with_name(f".{output.name}.work"))
    if calibration is not None and memory is not None:
        calibration = replace(calibration, memory=memory)
    budget = recipe.budget
    recipe, allocation = _allocate(recipe, checkpoint, calibration, cache, progress)
    quantized = quantize_checkpoint(checkpoint, recipe.plan(), progress, calibration)
    quantized.allocation = allocation
    if recipe.kv_cache is not None and calibration is not None:
        quantized.cache_scales = _observe_cache(recipe.kv_cache, quantized, calibration)
    manifest = edgeq_export.export_bundle(
        quantized,
        output,
        portable=recipe.portable,
        compression=storage,
        libraries=libraries,
        force=force,
        progress=progress,
    )
    if budget is not None:
        from edgeq.budgeting import check_size

        check_size(budget, output)
    return manifest


def _check_cache(recipe: Recipe) -> None:
    """Refuses a scheme of the cache early where it cannot be."""
    if recipe.kv_cache is None:
        return
    from edgeq.kv_cache import check_cached, parse_kv_cache

    parse_kv_cache(recipe.kv_cache)
    if recipe.model.endswith(".onnx"):
        raise EdgeqError("no quantized cache for ONNX files", field="--kv-cache", remedy="give the checkpoint instead")
    checkpoint = Checkpoint(resolve_model(recipe.model, recipe.revision))
    check_cached(checkpoint.config, recipe.calibration is not None)


def _observe_cache(scheme: str, quantized: QuantizedModel, calibration: Calibration) -> CacheScales:
    from edgeq.calibration.kv_cache import observe_cache
    from edgeq.kv_cache import parse_kv_cache

    return observe_cache(quantized.model, calibration.data.ids, parse_kv_cache(scheme))


def _allocate(
    recipe: Recipe,
    checkpoint: Checkpoint,
    calibration: Calibration | None,
    cache: Path | None,
    progress: Progress | None,
) -> tuple[Recipe, AllocationRecord | None]:
    """The recipe with the schemes that its budget chooses, if it has one."""
    if recipe.budget is None:
        return recipe, None
    from edgeq.budgeting import apply_budget

    return apply_budget(recipe, checkpoint, calibration, cache=cache, progress=progress)


def _with_trained_schemes(recipe: Recipe) -> Recipe:
    """The schemes under which a checkpoint was trained, where the recipe names none of its own."""
    from edgeq.quantization.trained import QUANTIZERS_NAME, read_quantizers

    chosen = {"scheme", "vocabulary", "layers", "skip"} & recipe.model_fields_set
    if recipe.method != "qat" and (Path(recipe.model) / QUANTIZERS_NAME).is_file():
        logger.warning("%s holds trained quantizers; only --method qat packs what was trained", recipe.model)
    if recipe.method != "qat" or chosen:
        return recipe
    return recipe.model_copy(update=read_quantizers(resolve_model(recipe.model, recipe.revision)).settings)


def _storage(recipe: Recipe) -> Storage | None:
    """How weights are compressed; refused early where it cannot be."""
    if recipe.compress is None:
        return None
    from edgeq_export.compression.storing import Storage

    if recipe.portable:
        raise EdgeqError("ONNX Runtime's own operators take no compressed weights", field="--compress, --portable")
    return Storage.parse(recipe.compress)


def _operator_libraries(recipe: Recipe) -> dict[str, Path] | None:
    """The library of each target, built where it is not there; before anything else, so that it fails early."""
    if not recipe.targets or recipe.portable:
        return None
    from edgeq_ops.platforms import library_for

    return {target: library_for(target, current_platform()) for target in dict.fromkeys(recipe.targets)}


def estimate(recipe: Recipe, cache: Path | None = None, progress: Progress | None = None) -> Estimate:
    """What `export_recipe` would produce and take, from shapes alone but for a budget's choice; errors as in `export`.

    Args:
        recipe: What would be done.
        cache: As in `export_recipe`.
        progress: Told the stage ``sensitivities``.
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
    products = sum(FORWARDS * record.rows * record.columns + record.columns**2 / 2 for record in records)
    return 2 * _tokens(recipe) * products / FLOPS


def _tokens(recipe: Recipe) -> int:
    from edgeq.calibration.data import DEFAULT_LENGTH

    return recipe.samples * (recipe.length if isinstance(recipe.length, int) else DEFAULT_LENGTH)


def _check_calibrated(recipe: Recipe, plan: Plan) -> None:
    from edgeq.quantization.quantize import check_calibrated

    if recipe.model.endswith(".onnx"):
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
        return
    check_calibrated(plan, recipe.calibration is not None)


def _read_calibration(recipe: Recipe, checkpoint: Checkpoint, work: Path | None) -> Calibration | None:
    from edgeq.calibrating import read_recipe_calibration

    # Without a place for finished blocks nothing is going to be quantized: no time is spent on comparing lengths.
    return read_recipe_calibration(recipe, checkpoint, None if work is None else recipe.plan(), work)


def _plan_layers(
    recipe: Recipe, cache: Path | None, progress: Progress | None
) -> tuple[list[LayerRecord], AllocationRecord | None]:
    import edgeq_export

    recipe = _with_trained_schemes(recipe)
    plan = recipe.plan()
    _check_calibrated(recipe, plan)
    if recipe.model.endswith(".onnx"):
        return edgeq_export.plan_onnx_file(Path(recipe.model), plan).records, None
    from edgeq.quantization.quantize import plan_records
    from edgeq.quantization.skeleton import build_skeleton

    checkpoint = Checkpoint(resolve_model(recipe.model, recipe.revision))
    edgeq_export.check_supported(checkpoint, plan, portable=recipe.portable)
    calibration = _read_calibration(recipe, checkpoint, None)
    recipe, allocation = _allocate(recipe, checkpoint, calibration, cache, progress)
    return plan_records(build_skeleton(checkpoint), recipe.plan()), allocation
