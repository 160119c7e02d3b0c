# SPDX-License-Identifier: Apache-2.0
"""One layer of a model: its weight quantized and packed, its module replaced."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from edgeq.bundle.manifest import LayerRecord
from edgeq.errors import EdgeqError
from edgeq.formats import Format
from edgeq.methods.pipeline import Pipeline
from edgeq.quantization.corrections import Correction
from edgeq.quantization.embedding import QuantEmbedding
from edgeq.quantization.linear import PackedWeight, QuantLinear, checked_scale
from edgeq.quantization.loading import Load
from edgeq.quantization.operators import gather_operator, matmul_operator
from edgeq.quantization.plan import Plan
from edgeq.quantization.skeleton import Target
from edgeq.schemes import Scheme

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackedLayer:
    """A quantized layer.

    Attributes:
        weight: Its packed matrix.
        corrections: What is added to its output.
        activation_scale: The step of its activations where calibration tells one (scheme ``a8s``).
    """

    weight: PackedWeight
    corrections: tuple[Correction, ...] = ()
    activation_scale: float | None = None

    def dense(self) -> Tensor:
        """The matrix that the layer multiplies by, corrections included, float32 ``[N, K]``."""
        matrix = self.weight.dequantize()
        for correction in self.corrections:
            matrix = matrix + correction.dense()
        return matrix


def pack_layer(
    target: Target, weight: Tensor, fmt: Format, pipeline: Pipeline, statistics: LayerStatistics | None = None
) -> PackedLayer:
    """Quantizes and packs the weight of a layer.

    Args:
        target: The layer.
        weight: Its weight as ``[N, K]`` (`as_matrix`).
        fmt: The number format.
        pipeline: The methods.
        statistics: Inputs of the layer.

    Raises:
        EdgeqError: It cannot be quantized; the layer is named.
    """
    if tuple(weight.shape) != (target.rows, target.columns):
        raise EdgeqError(
            "wrong shape", field=f"{target.name}.weight", found=list(weight.shape), wanted=[target.rows, target.columns]
        )
    try:
        result = pipeline.quantize(weight, fmt, statistics)
        packed = fmt.pack(result.tensor)  # type: ignore[arg-type]
    except EdgeqError as error:
        raise EdgeqError(
            error.problem,
            field=target.name if error.field is None else f"{target.name}: {error.field}",
            found=error.found,
            wanted=error.wanted,
            # Where a field is named, the layer is not at fault.
            remedy=error.remedy or ("keep the layer in fp32 with --skip" if error.field is None else None),
        ) from error
    return PackedLayer(PackedWeight(torch.from_numpy(packed), fmt, target.rows, target.columns), result.corrections)


def pack_best(
    target: Target, weight: Tensor, scheme: Scheme, pipeline: Pipeline, statistics: LayerStatistics | None = None
) -> PackedLayer:
    """Packs the weight of a layer in the format of its scheme; of several, in the one of least output error.

    The error is that of the layer's outputs over the calibration tokens, corrections included; without calibration,
    that of the weights. Of formats that err alike the first is taken. Arguments and errors as in `pack_layer`.
    """
    packed = [pack_layer(target, weight, fmt, pipeline, statistics) for fmt in scheme.formats]
    if len(packed) == 1:
        return packed[0]
    gram = None if statistics is None else statistics.gram
    errors = [float(squared_error(weight, layer.dense(), gram)) for layer in packed]
    best = packed[errors.index(min(errors))]
    named = ", ".join(f"{scheme.with_format(f)} {error:.4g}" for f, error in zip(scheme.formats, errors, strict=True))
    logger.info("%s: %s of %s", target.name, scheme.with_format(best.weight.format), named)
    return best


def squared_error(weight: Tensor, quantized: Tensor, gram: Tensor | None) -> Tensor:
    """Σ‖X (Ŵ − W)ᵀ‖² over the calibration tokens, or Σ‖Ŵ − W‖² without XᵀX; float64."""
    difference = quantized.float() - weight.float()
    moved = difference if gram is None else difference @ gram.float()
    return (moved * difference).sum(dtype=torch.float64)


def as_matrix(weight: Tensor, target: Target) -> Tensor:
    """A layer's own weight as ``[N, K]``, or a matrix as the layer's own weight."""
    return weight.T.contiguous() if target.kind == "conv1d" else weight


def replace_layer(
    model: nn.Module, target: Target, scheme: Scheme, layer: PackedLayer, bias: Tensor | None = None
) -> None:
    """Puts a packed layer into the model in place of a linear or an embedding.

    Args:
        model: The model.
        target: The layer.
        scheme: Its scheme.
        layer: What it becomes.
        bias: float32 ``[N]`` of the linear, or of the head that is tied to the embedding.

    Raises:
        EdgeqError: The scheme wants a static scale of the activations, and there is none.
    """
    name = target.name
    if target.kind == "embedding":
        old: Any = model.get_submodule(name)
        scale = getattr(old, "embed_scale", 1.0)
        model.set_submodule(name, QuantEmbedding(layer.weight, float(scale)))
        if target.tied is None:
            return
        name = target.tied
    mode, scale = scheme.activation_mode, layer.activation_scale
    if mode == "static":
        checked_scale(scale, name)
    linear = QuantLinear(layer.weight, scheme.activation_bits, bias, layer.corrections, mode, scale)
    model.set_submodule(name, linear)


def layer_record(target: Target, scheme: Scheme) -> LayerRecord:
    """What the manifest says of a layer, from its shape alone."""
    fmt = scheme.weights
    size = 4 * target.rows * target.columns if fmt is None else fmt.packed_size(target.rows, target.columns)
    return LayerRecord(
        name=target.name,
        operators=_operators(target, scheme),
        scheme=str(scheme),
        rows=target.rows,
        columns=target.columns,
        size=size,
    )


def scheme_of(plan: Plan, target: Target) -> Scheme:
    """The scheme of a layer in a plan."""
    return plan.scheme_for(*target.names, vocabulary=target.vocabulary)


def quantize_unobserved(
    model: nn.Module, target: Target, plan: Plan, load: Load, pipeline: Pipeline | None = None
) -> None:
    """Quantizes a layer whose inputs are not known, unless the plan keeps it in float32.

    Args:
        model: The model.
        target: The layer.
        plan: Schemes and methods.
        load: Reads a tensor of the checkpoint.
        pipeline: Methods in place of the plan's.

    Raises:
        EdgeqError: As `pack_layer`, or a tensor is missing.
    """
    scheme = scheme_of(plan, target)
    if scheme.weights is None:
        return
    weight = as_matrix(load(f"{target.name}.weight"), target)
    pipeline = pipeline or plan.pipeline_for(vocabulary=target.vocabulary)
    layer = pack_best(target, weight, scheme, pipeline)
    linear = target.tied or target.name
    has_bias = getattr(model.get_submodule(linear), "bias", None) is not None
    replace_layer(model, target, scheme, layer, load(f"{linear}.bias").float() if has_bias else None)


def corrections_of(model: nn.Module, name: str) -> Sequence[Any]:
    """The corrections of a quantized layer."""
    module = model.get_submodule(name)
    return list(module.corrections) if isinstance(module, QuantLinear) else []


def as_packed(model: nn.Module, record: LayerRecord) -> LayerRecord:
    """A planned record with the format that the layer got."""
    scheme = Scheme.parse(record.scheme)
    module = model.get_submodule(record.name)
    if not scheme.auto or not isinstance(module, QuantLinear | QuantEmbedding):
        return record
    return record.model_copy(update={"scheme": str(scheme.with_format(module.weight.format))})


def _operators(target: Target, scheme: Scheme) -> list[str]:
    fmt = scheme.weights
    if fmt is None:
        names = {"embedding": "Gather", "linear": "MatMul"}
        return [names[target.kind if target.kind == "embedding" else "linear"], *(["MatMul"] if target.tied else [])]
    shape = target.rows, target.columns
    matmul = matmul_operator(fmt, *shape, scheme.activation_bits, scheme.activation_mode)[0]
    if target.kind != "embedding":
        return [matmul]
    return [gather_operator(fmt, target.rows, target.columns)[0], *([matmul] if target.tied else [])]
