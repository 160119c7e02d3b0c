# SPDX-License-Identifier: Apache-2.0
"""From a recipe to a bundle: quantize, trace, write."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.bundle.platforms import current_platform
from edgeq.checkpoint import Checkpoint, resolve_model
from edgeq.errors import EdgeqError
from edgeq.preparing import allocate, check_cache, check_calibration, read_calibration, with_trained_schemes
from edgeq.presets import apply_preset
from edgeq.recipe import Recipe, build_recipe

if TYPE_CHECKING:
    from edgeq.bundle.manifest import Manifest
    from edgeq.kv_cache import CacheScales
    from edgeq.progress import Progress
    from edgeq.quantization.blockwise import Calibration
    from edgeq.quantization.quantize import QuantizedModel
    from edgeq_export.compression.storing import Storage


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
    schemes = {"scheme": scheme, "vocabulary": vocabulary, "layers": layers, "skip": skip}
    methods = {"method": method, "method_options": method_options, "clip": clip}
    text = None if calibration is None else str(calibration)
    windows = {"samples": samples, "length": length, "task_lengths": task_lengths, "seed": seed}
    form = {"portable": portable or None, "compress": compress, "kv_cache": kv_cache, "targets": targets}
    chosen: dict[str, Any] = {**schemes, **methods, **windows, **form}
    recipe = build_recipe(model=str(model), calibration=text, budget=budget, **chosen)
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

    recipe = with_trained_schemes(recipe)
    plan = recipe.plan()
    edgeq_export.check_output(output, force=force)
    _check_apart(recipe, output)
    check_calibration(recipe, plan)
    check_cache(recipe)
    storage, libraries = _storage(recipe), _operator_libraries(recipe)
    if recipe.model.endswith(".onnx"):
        write = partial(edgeq_export.export_onnx_file, Path(recipe.model), plan)
    else:
        work = work or output.absolute().with_name(f".{output.name}.work")
        write = partial(edgeq_export.export_bundle, _quantize(recipe, work, memory, cache, progress))
    manifest = write(
        output, portable=recipe.portable, compression=storage, libraries=libraries, force=force, progress=progress
    )
    if recipe.budget is not None:
        from edgeq.budgeting import check_size

        check_size(recipe.budget, output)
    return manifest


def _check_apart(recipe: Recipe, output: Path) -> None:
    """Refuses, before any work, to replace a directory that what is read lies in."""
    for source in (recipe.model, recipe.calibration):
        if source and Path(source).exists() and Path(source).resolve().is_relative_to(output.resolve()):
            raise EdgeqError(
                "output would replace its own source", file=output, found=source, remedy="choose another directory"
            )


def _quantize(
    recipe: Recipe, work: Path, memory: int | None, cache: Path | None, progress: Progress | None
) -> QuantizedModel:
    """The model with all that its bundle records."""
    from edgeq.quantization.quantize import quantize_checkpoint
    from edgeq_export import check_supported

    checkpoint = Checkpoint(resolve_model(recipe.model, recipe.revision))
    check_supported(checkpoint, recipe.plan(), portable=recipe.portable)
    calibration = read_calibration(recipe, checkpoint, work)
    if calibration is not None and memory is not None:
        calibration = replace(calibration, memory=memory)
    recipe, allocation = allocate(recipe, checkpoint, calibration, cache, progress)
    quantized = quantize_checkpoint(checkpoint, recipe.plan(), progress, calibration)
    quantized.allocation = allocation
    if recipe.kv_cache is not None and calibration is not None:
        quantized.cache_scales = _observe_cache(recipe.kv_cache, quantized, calibration)
    return quantized


def _observe_cache(scheme: str, quantized: QuantizedModel, calibration: Calibration) -> CacheScales:
    from edgeq.calibration.kv_cache import observe_cache
    from edgeq.kv_cache import parse_kv_cache

    return observe_cache(quantized.model, calibration.data.ids, parse_kv_cache(scheme))


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
