# SPDX-License-Identifier: Apache-2.0
"""A transformers model that runs with fake-quantized weights and activations; its parameters stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from edgeq.errors import EdgeqError
from edgeq.quantization.activations import fake_quantize as fake_quantize_activations
from edgeq.quantization.layers import as_matrix
from edgeq.quantization.skeleton import Target
from edgeq.schemes import Scheme
from edgeq.training.quantizer import LayerQuantizer, trainable_format


def check_trainable(target: Target, scheme: Scheme) -> None:
    """Checks that a layer's scheme can be trained.

    Raises:
        EdgeqError: It cannot.
    """
    if scheme.weights is not None:
        trainable_format(scheme.weights, target.name)
    if scheme.auto:
        raise EdgeqError(
            "nothing chooses formats in training", field=target.name, found=str(scheme), wanted="one format"
        )
    if scheme.activation_bits == 8 and scheme.activation_mode == "static":
        raise EdgeqError(
            "static activations cannot be trained",
            field=target.name,
            found=str(scheme),
            wanted="a8, a8t or a8ta",
        )


class Student:
    """A model with quantizers.

    Args:
        model: A causal language model of transformers in float32; its parameters are trained.
        targets: The layers that have a quantizer, with their schemes.
        quantizers: By layer name.

    Attributes:
        parameters: What is trained, by name: the model's parameters and ``gamma.LAYER`` for log γ.
    """

    def __init__(
        self, model: nn.Module, targets: Mapping[str, tuple[Target, Scheme]], quantizers: Mapping[str, LayerQuantizer]
    ) -> None:
        self.model, self.targets, self.quantizers = model, targets, quantizers
        self.parameters: dict[str, Tensor] = {
            name: value.requires_grad_() for name, value in model.named_parameters() if value.is_floating_point()
        }
        self.gammas = {
            f"gamma.{name}": quantizer.log_gamma
            for name, quantizer in quantizers.items()
            if quantizer.log_gamma.requires_grad
        }

    @property
    def matrices(self) -> set[str]:
        """Names of the parameters that have a quantizer."""
        return {f"{name}.weight" for name in self.quantizers}

    def buffers(self) -> Iterator[Tensor]:
        """All of the quantizers that is not among ``parameters``."""
        for quantizer in self.quantizers.values():
            yield from (quantizer.log_gamma, quantizer.unit, quantizer.zero_points)

    def quantized(self) -> dict[str, Tensor]:
        """The fake-quantized matrices by parameter name, in the shape of the parameter, with gradients."""
        return {f"{name}.weight": self._quantize(name) for name in self.quantizers}

    def logits(self, matrices: Mapping[str, Tensor], ids: Tensor) -> Tensor:
        """Predictions ``[windows, length, vocabulary]`` with ``matrices`` in place of the model's own."""
        with self._rounding_activations():
            outputs: Any = functional_call(self.model, dict(matrices), (ids,), {"use_cache": False})
        logits: Tensor = outputs.logits
        return logits

    def _quantize(self, name: str) -> Tensor:
        target = self.targets[name][0]
        matrix = as_matrix(self.parameters[f"{name}.weight"], target)
        return as_matrix(self.quantizers[name](matrix), target)

    @contextmanager
    def _rounding_activations(self) -> Iterator[None]:
        handles = []
        for target, scheme in self.targets.values():
            name = target.tied if target.kind == "embedding" else target.name
            if name is not None and scheme.activation_bits in (8, 16):
                hook = partial(_round_inputs, scheme)
                handles.append(self.model.get_submodule(name).register_forward_pre_hook(hook))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _round_inputs(scheme: Scheme, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The inputs as the operator rounds them; gradients pass straight through."""
    x = inputs[0].float()
    assert scheme.weights is not None
    if scheme.activation_bits == 16:
        rounded = x.to(torch.bfloat16).float()
    else:
        rounded = fake_quantize_activations(x.detach(), scheme.activation_mode, scheme.weights.group_size)
    return (x + (rounded - x).detach(), *inputs[1:])
