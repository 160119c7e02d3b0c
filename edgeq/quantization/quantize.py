# SPDX-License-Identifier: Apache-2.0
"""Quantizes a checkpoint layer by layer; the full-precision model is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.bundle.manifest import LayerRecord
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.formats import Format
from edgeq.methods import rtn
from edgeq.progress import Progress
from edgeq.quantization.embedding import QuantEmbedding
from edgeq.quantization.linear import PackedWeight, QuantLinear
from edgeq.quantization.operators import gather_operator, matmul_operator
from edgeq.quantization.plan import Plan
from edgeq.quantization.skeleton import Target, build_skeleton, find_targets
from edgeq.schemes import Scheme

Load = Callable[[str], Tensor]


@dataclass
class QuantizedModel:
    """A quantized model, ready for export.

    Attributes:
        model: The transformers model with `QuantLinear` and `QuantEmbedding` layers; everything else float32.
        config: Its transformers configuration.
        checkpoint: Where it came from.
        records: One record per weight matrix.
        scheme: Default scheme.
        method: Method and its options.
    """

    model: nn.Module
    config: Any
    checkpoint: Checkpoint
    records: list[LayerRecord]
    scheme: Scheme
    method: str


def quantize_checkpoint(checkpoint: Checkpoint, plan: Plan, progress: Progress | None = None) -> QuantizedModel:
    """Quantizes a checkpoint as planned.

    Raises:
        EdgeqError: The architecture is unknown, a tensor is missing or of the wrong shape, a pattern matches nothing,
            or a layer cannot be quantized.
    """
    model = build_skeleton(checkpoint)
    load = _checkpoint_loader(model, checkpoint)
    records = _quantize(model, plan, load, progress)
    _materialize(model, load)
    return QuantizedModel(model, model.config, checkpoint, records, plan.default, plan.describe_method())


def quantize_module(model: nn.Module, plan: Plan) -> list[LayerRecord]:
    """Quantizes a transformers model that is in memory already, in place."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return _quantize(model, plan, lambda name: parameters[name].detach(), None)


def plan_records(model: nn.Module, plan: Plan) -> list[LayerRecord]:
    """What `quantize_checkpoint` would record, from shapes alone."""
    targets = find_targets(model)
    plan.check_patterns(name for target in targets for name in target.names)
    return [_record(target, plan.scheme_for(*target.names, vocabulary=target.vocabulary)) for target in targets]


def _quantize(model: nn.Module, plan: Plan, load: Load, progress: Progress | None) -> list[LayerRecord]:
    records = plan_records(model, plan)
    targets = find_targets(model)
    for step, target in enumerate(targets):
        if progress:
            progress("quantize", step, len(targets))
        scheme = plan.scheme_for(*target.names, vocabulary=target.vocabulary)
        if scheme.weights is not None:
            _replace(model, target, scheme, _pack(target, scheme.weights, plan, load), load)
    if progress:
        progress("quantize", len(targets), len(targets))
    return records


def _record(target: Target, scheme: Scheme) -> LayerRecord:
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


def _operators(target: Target, scheme: Scheme) -> list[str]:
    fmt = scheme.weights
    if fmt is None:
        names = {"embedding": "Gather", "linear": "MatMul"}
        return [names[target.kind if target.kind == "embedding" else "linear"], *(["MatMul"] if target.tied else [])]
    matmul = matmul_operator(fmt, target.rows, target.columns, scheme.activation_bits)[0]
    if target.kind != "embedding":
        return [matmul]
    return [gather_operator(fmt, target.rows, target.columns)[0], *([matmul] if target.tied else [])]


def _pack(target: Target, fmt: Format, plan: Plan, load: Load) -> PackedWeight:
    weight = load(f"{target.name}.weight")
    if target.kind == "conv1d":
        weight = weight.T.contiguous()
    if tuple(weight.shape) != (target.rows, target.columns):
        raise EdgeqError(
            "wrong shape", field=f"{target.name}.weight", found=list(weight.shape), wanted=[target.rows, target.columns]
        )
    try:
        packed = fmt.pack(rtn.quantize(weight, fmt, clip=plan.clip))  # type: ignore[arg-type]
    except EdgeqError as error:
        raise EdgeqError(
            error.problem,
            field=target.name,
            found=error.found,
            wanted=error.wanted,
            remedy="keep the layer in fp32 with --skip",
        ) from error
    return PackedWeight(torch.from_numpy(packed), fmt, target.rows, target.columns)


def _replace(model: nn.Module, target: Target, scheme: Scheme, weight: PackedWeight, load: Load) -> None:
    old: Any = model.get_submodule(target.name)
    if target.kind == "embedding":
        scale = getattr(old, "embed_scale", 1.0)
        model.set_submodule(target.name, QuantEmbedding(weight, float(scale)))
        if target.tied:
            _replace_linear(model, target.tied, scheme, weight, load)
    else:
        _replace_linear(model, target.name, scheme, weight, load)


def _replace_linear(model: nn.Module, name: str, scheme: Scheme, weight: PackedWeight, load: Load) -> None:
    has_bias = getattr(model.get_submodule(name), "bias", None) is not None
    bias = load(f"{name}.bias").float() if has_bias else None
    model.set_submodule(name, QuantLinear(weight, scheme.activation_bits, bias))


def _checkpoint_loader(model: Any, checkpoint: Checkpoint) -> Load:
    """Reads tensors by module name; a checkpoint may lack or have the prefix of the model with a head."""
    prefix = f"{model.base_model_prefix}."

    def load(name: str) -> Tensor:
        for candidate in (name, name.removeprefix(prefix), prefix + name):
            if candidate in checkpoint.files:
                return checkpoint.tensor(candidate)
        return checkpoint.tensor(name)

    return load


def _materialize(model: Any, load: Load) -> None:
    """Loads what is still on the meta device: norms, biases, position embeddings, layers kept in float32."""
    tied = set(_tied_parameters(model))
    for name, parameter in list(model.named_parameters(remove_duplicate=False)):
        if not parameter.is_meta or name in tied:
            continue
        value = load(name).float()
        if value.shape != parameter.shape:
            raise EdgeqError("wrong shape", field=name, found=list(value.shape), wanted=list(parameter.shape))
        module, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(module), leaf, nn.Parameter(value, requires_grad=False))
    head = model.get_output_embeddings()
    if tied and isinstance(head, nn.Linear):
        head.weight = model.get_input_embeddings().weight


def _tied_parameters(model: Any) -> list[str]:
    head = model.get_output_embeddings()
    if head is None or not getattr(model.config, "tie_word_embeddings", False):
        return []
    return [f"{name}.weight" for name, module in model.named_modules() if module is head]
