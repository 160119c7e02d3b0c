# SPDX-License-Identifier: Apache-2.0
"""What training starts from: the model, and its matrices quantized after training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from edgeq.calibration.data import CalibrationData
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.formats import UniformTensor
from edgeq.progress import Progress
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.embedding import QuantEmbedding
from edgeq.quantization.layers import as_matrix, scheme_of
from edgeq.quantization.linear import QuantLinear
from edgeq.quantization.loading import checkpoint_loader, materialize
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import plan_records, quantize_checkpoint
from edgeq.quantization.skeleton import Target, build_skeleton, find_targets
from edgeq.schemes import Scheme
from edgeq.training.data import Windows
from edgeq.training.quantizer import LayerQuantizer, trainable_format
from edgeq.training.settings import Settings
from edgeq.training.student import Student, check_trainable

CALIBRATION_WINDOWS = 64  # that the first quantization observes
INSIDE = 0.49  # of a step from a level: where a weight is put that is to round to it


def training_plan(settings: Settings) -> Plan:
    """Schemes and the method of the first quantization.

    Raises:
        EdgeqError: A scheme, method or option does not exist.
    """
    default = Scheme.parse(settings.scheme)
    vocabulary = Scheme.parse(settings.vocabulary) if settings.vocabulary else default.for_vocabulary()
    start: Mapping[str, bool | int | float | str] = settings.init_options or _default_options(settings)
    return Plan.build(default, settings.layers, settings.skip, vocabulary, settings.init, None, start)


def trained_layers(model: nn.Module, plan: Plan) -> dict[str, tuple[Target, Scheme]]:
    """The layers that get a quantizer, by name.

    Raises:
        EdgeqError: A layer's scheme cannot be trained, no layer is quantized, a pattern matches nothing, or the model
            predicts no next tokens.
    """
    if not getattr(model, "can_generate", lambda: False)():
        raise EdgeqError(
            "no predictions to train on", found=type(model).__name__, wanted="a causal language model", field="MODEL"
        )
    plan_records(model, plan)
    layers = {}
    for target in find_targets(model):
        scheme = scheme_of(plan, target)
        check_trainable(target, scheme)
        if scheme.weights is not None:
            layers[target.name] = (target, scheme)
    if not layers:
        raise EdgeqError("nothing to train", field="--scheme", found=str(plan.default), wanted="a quantized scheme")
    return layers


def load_model(checkpoint: Checkpoint) -> nn.Module:
    """A checkpoint's model in float32, in evaluation mode: distillation wants no dropout."""
    model = build_skeleton(checkpoint)
    materialize(model, checkpoint_loader(model, checkpoint))
    return model


def start_student(
    checkpoint: Checkpoint, settings: Settings, windows: Windows, progress: Progress | None = None
) -> Student:
    """The model with quantizers, whose scales are those of the first quantization.

    Args:
        checkpoint: The model.
        settings: Schemes, and how training starts.
        windows: Training text; the first windows are what the first quantization observes.
        progress: Told the stage ``quantize``.

    Raises:
        EdgeqError: As `trained_layers` and `edgeq.quantization.quantize.quantize_checkpoint`.
    """
    plan, model = training_plan(settings), load_model(checkpoint)
    layers = trained_layers(model, plan)
    ids = windows.batch(0, min(CALIBRATION_WINDOWS, windows.per_epoch)).numpy()
    data = CalibrationData(np.ascontiguousarray(ids), windows.stream.source, settings.seed)
    packed = quantize_checkpoint(checkpoint, plan, progress, Calibration(data)).model
    quantizers = {}
    for name, (target, scheme) in layers.items():
        assert scheme.weights is not None
        fmt = trainable_format(scheme.weights, name)
        tensor = _unpacked(packed, name)
        parameter = model.get_submodule(name).get_parameter("weight")
        weight = as_matrix(parameter.detach(), target)
        quantizers[name] = LayerQuantizer(weight, fmt, tensor, settings.gamma, settings.gradient)
        if settings.init != "rtn":
            parameter.data.copy_(as_matrix(_towards(weight, quantizers[name], tensor), target))
    return Student(model, layers, quantizers)


def _default_options(settings: Settings) -> dict[str, bool | int | float | str]:
    """γ searched; γ = 1 where there is to be none."""
    if settings.init != "rtn":
        return {}
    if settings.gamma == "off":
        return {"rtn.gamma": 1.0}
    return {"rtn.gamma": "auto", "rtn.gamma_scope": settings.gamma}


def _unpacked(model: nn.Module, name: str) -> UniformTensor:
    module = model.get_submodule(name)
    assert isinstance(module, QuantLinear | QuantEmbedding)
    packed = module.weight
    tensor = packed.format.unpack(packed.data.numpy(), packed.rows, packed.columns)
    assert isinstance(tensor, UniformTensor)
    return tensor


@torch.no_grad()
def _towards(weight: Tensor, quantizer: LayerQuantizer, tensor: UniformTensor) -> Tensor:
    """The weights nearest to ``weight`` that round to the codes that the first quantization chose."""
    levels = torch.from_numpy(quantizer.format.decode(tensor))
    size = quantizer.format.group_size or weight.shape[1]
    steps = quantizer.scales().abs().repeat_interleave(size, 1)[:, : weight.shape[1]]
    return torch.minimum(torch.maximum(weight, levels - INSIDE * steps), levels + INSIDE * steps)
