# SPDX-License-Identifier: Apache-2.0
"""Quantizes a checkpoint layer by layer; the full-precision model is never in memory as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from edgeq.bundle.manifest import AllocationRecord, CalibrationRecord, LayerRecord, TrainingRecord
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.kv_cache import CacheScales
from edgeq.progress import Progress
from edgeq.quantization.blockwise import Calibration, quantize_blocks
from edgeq.quantization.corrections import corrected_record
from edgeq.quantization.layers import as_packed, corrections_of, layer_record, quantize_unobserved, scheme_of
from edgeq.quantization.loading import Load, checkpoint_loader, materialize
from edgeq.quantization.plan import Plan
from edgeq.quantization.skeleton import Target, build_skeleton, find_targets
from edgeq.quantization.trained import TrainedQuantizers, read_training_record, trained_quantizers
from edgeq.schemes import Scheme


@dataclass
class QuantizedModel:
    """A quantized model, ready for export.

    Attributes:
        model: The transformers model with `QuantLinear` and `QuantEmbedding` layers; everything else float32.
        config: Its transformers configuration.
        checkpoint: Where it came from.
        records: One record per weight matrix.
        scheme: Default scheme.
        method: Methods and their options.
        calibration: What it was calibrated on.
        training: How it was trained under its quantizers.
        cache_scales: Quantizers of its key-value cache.
        allocation: How a budget chose the schemes.
    """

    model: nn.Module
    config: Any
    checkpoint: Checkpoint
    records: list[LayerRecord]
    scheme: Scheme
    method: str
    calibration: CalibrationRecord | None = None
    training: TrainingRecord | None = None
    cache_scales: CacheScales | None = None
    allocation: AllocationRecord | None = None


def quantize_checkpoint(
    checkpoint: Checkpoint, plan: Plan, progress: Progress | None = None, calibration: Calibration | None = None
) -> QuantizedModel:
    """Quantizes a checkpoint as planned.

    Args:
        checkpoint: The model.
        plan: Schemes and methods.
        progress: Told the stage ``quantize`` and its layers.
        calibration: What the model reads while its layers are observed, for methods that need it.

    Raises:
        EdgeqError: The architecture is unknown, a tensor is missing or of the wrong shape, a pattern matches nothing,
            a method lacks calibration, an interrupted run cannot be continued, or a layer cannot be quantized.
    """
    check_calibrated(plan, calibration is not None)
    model = build_skeleton(checkpoint)
    load = checkpoint_loader(model, checkpoint)
    trained = trained_quantizers(checkpoint.directory, plan, calibrated=calibration is not None)
    if calibration is None:
        records = _quantize(model, plan, load, progress, trained)
    else:
        records = plan_records(model, plan)
        quantize_blocks(model, checkpoint, plan, load, calibration, progress)
    materialize(model, load)
    described = None if calibration is None else calibration.record()
    training = None if trained is None else read_training_record(checkpoint.directory)
    records, method = _with_corrections(model, records), plan.describe_method()
    return QuantizedModel(model, model.config, checkpoint, records, plan.default, method, described, training)


def quantize_module(model: nn.Module, plan: Plan) -> list[LayerRecord]:
    """Quantizes a transformers model that is in memory already, in place and without calibration.

    Raises:
        EdgeqError: As `quantize_checkpoint`.
    """
    check_calibrated(plan, False)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    records = _quantize(model, plan, lambda name: parameters[name].detach(), None)
    return _with_corrections(model, records)


def plan_records(model: nn.Module, plan: Plan) -> list[LayerRecord]:
    """What `quantize_checkpoint` would record, from shapes alone.

    Raises:
        EdgeqError: A pattern of the plan matches no layer, or its solver does not make the format of one.
    """
    targets = find_targets(model)
    plan.check_patterns(name for target in targets for name in target.names)
    for target in targets:
        _check_solver(plan, target)
    return [layer_record(target, scheme_of(plan, target)) for target in targets]


def _check_solver(plan: Plan, target: Target) -> None:
    solver, scheme = plan.pipeline.solver.method, scheme_of(plan, target)
    wrong = {fmt.name for fmt in scheme.formats if solver.format not in (None, fmt.name)}
    if wrong and not target.vocabulary:
        raise EdgeqError(
            f"{solver.name} makes {solver.format} weights",
            field=target.name,
            found=scheme,
            wanted=f"a scheme in the format {solver.format}, or another --method",
        )


def check_calibrated(plan: Plan, calibrated: bool) -> None:
    """Checks that methods and schemes have the calibration they need.

    Raises:
        EdgeqError: They have none.
    """
    static = [scheme for scheme in plan.schemes if scheme.activation_mode == "static"]
    if static and not calibrated:
        raise EdgeqError(
            "static scales of activations need calibration",
            field="--scheme",
            found=str(static[0]),
            wanted="--calibration FILE with text like that which the model will read, or a8t: a scale per token",
        )
    if plan.pipeline.calibrated and not calibrated:
        raise EdgeqError(
            "method needs calibration",
            field="--method",
            found=str(plan.pipeline),
            remedy="add --calibration FILE with text like that which the model will read",
        )


def _quantize(
    model: nn.Module, plan: Plan, load: Load, progress: Progress | None, trained: TrainedQuantizers | None = None
) -> list[LayerRecord]:
    records = plan_records(model, plan)
    targets = find_targets(model)
    pipelines = {} if trained is None else trained.pipelines(targets, plan)
    for step, target in enumerate(targets):
        if progress:
            progress("quantize", step, len(targets))
        quantize_unobserved(model, target, plan, load, pipelines.get(target.name))
    if progress:
        progress("quantize", len(targets), len(targets))
    return records


def _with_corrections(model: nn.Module, records: list[LayerRecord]) -> list[LayerRecord]:
    return [corrected_record(as_packed(model, record), corrections_of(model, record.name)) for record in records]
