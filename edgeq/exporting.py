# SPDX-License-Identifier: Apache-2.0
"""From a recipe to a bundle: quantize, trace, write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.checkpoint import Checkpoint, resolve_model
from edgeq.recipe import Recipe, build_recipe

if TYPE_CHECKING:
    from edgeq.bundle.manifest import LayerRecord, Manifest
    from edgeq.progress import Progress

# Measured on two Zen 4 cores: rounding with the error search, per weight; tracing, per layer; libraries in memory.
SECONDS_PER_WEIGHT = 15e-9
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
    """

    layers: list[LayerRecord]
    data_bytes: int
    memory_bytes: int
    seconds: float


def export(
    model: str | Path,
    output: str | Path,
    *,
    bits: int | None = None,
    scheme: str | None = None,
    vocabulary: str | None = None,
    layers: dict[str, str] | None = None,
    skip: list[str] | None = None,
    clip: str | None = None,
    portable: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Quantizes a model and writes a bundle.

    Args:
        model: Checkpoint directory, ``.onnx`` file or hub id.
        output: Directory to create.
        bits: Short for the default scheme of that many bits.
        scheme: Default scheme, e.g. ``w3g64-bcq``; ``w4g128`` if neither is given.
        vocabulary: Scheme of the token embedding and the output head; 8 bits if none is given.
        layers: Scheme by layer pattern.
        skip: Patterns of layers kept in float32.
        clip: ``l3`` (default), ``mse`` or ``minmax``.
        portable: Write stock ``MatMulNBits`` nodes, for places where no custom library may load.
        force: Replace ``output`` if it is not empty.
        progress: Told the stage, the steps done and the steps in all.

    Raises:
        EdgeqError: Anything a user can mend.
    """
    recipe = build_recipe(
        model=str(model),
        scheme=scheme or default_scheme(bits),
        vocabulary=vocabulary,
        layers=layers,
        skip=skip,
        clip=clip,
        portable=portable or None,
    )
    return export_recipe(recipe, Path(output), force=force, progress=progress)


def default_scheme(bits: int | None) -> str | None:
    """The scheme string that ``--bits`` stands for."""
    from edgeq.schemes import Scheme

    return None if bits is None else str(Scheme.from_bits(bits))


def export_recipe(recipe: Recipe, output: Path, *, force: bool = False, progress: Progress | None = None) -> Manifest:
    """Carries out a recipe; arguments and errors as in `export`."""
    import edgeq_export

    plan = recipe.plan()
    edgeq_export.check_output(output, force=force)
    if recipe.model.endswith(".onnx"):
        return edgeq_export.export_onnx_file(
            Path(recipe.model), plan, output, portable=recipe.portable, force=force, progress=progress
        )
    from edgeq.quantization.quantize import quantize_checkpoint

    checkpoint = Checkpoint(resolve_model(recipe.model, recipe.revision))
    edgeq_export.check_supported(checkpoint, plan, portable=recipe.portable)
    quantized = quantize_checkpoint(checkpoint, plan, progress)
    return edgeq_export.export_bundle(quantized, output, portable=recipe.portable, force=force, progress=progress)


def estimate(recipe: Recipe) -> Estimate:
    """What `export_recipe` would produce and take, from shapes alone; errors as in `export`."""
    records = _plan_layers(recipe)
    weights = [record.rows * record.columns for record in records]
    data = sum(record.size for record in records)
    return Estimate(
        layers=records,
        data_bytes=data,
        memory_bytes=LIBRARY_BYTES + data + 8 * max(weights, default=0),
        seconds=SECONDS_PER_WEIGHT * sum(weights) + SECONDS_PER_LAYER * len(records),
    )


def _plan_layers(recipe: Recipe) -> list[LayerRecord]:
    import edgeq_export

    plan = recipe.plan()
    if recipe.model.endswith(".onnx"):
        return edgeq_export.plan_onnx_file(Path(recipe.model), plan).records
    from edgeq.quantization.quantize import plan_records
    from edgeq.quantization.skeleton import build_skeleton

    checkpoint = Checkpoint(resolve_model(recipe.model, recipe.revision))
    edgeq_export.check_supported(checkpoint, plan, portable=recipe.portable)
    return plan_records(build_skeleton(checkpoint), plan)
