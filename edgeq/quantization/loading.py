# SPDX-License-Identifier: Apache-2.0
"""Tensors of a checkpoint by the names of a transformers model, put in place when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError

Load = Callable[[str], Tensor]


def checkpoint_loader(model: Any, checkpoint: Checkpoint) -> Load:
    """Reads tensors by module name; a checkpoint may lack or have the prefix of the model with a head."""
    prefix = f"{model.base_model_prefix}."

    def load(name: str) -> Tensor:
        for candidate in (name, name.removeprefix(prefix), prefix + name):
            if candidate in checkpoint.files:
                return checkpoint.tensor(candidate)
        return checkpoint.tensor(name)

    return load


def materialize(model: Any, load: Load, inside: str = "", outside: tuple[str, ...] = ()) -> None:
    """Loads as float32 what is still on the meta device.

    Args:
        model: The whole model.
        load: Reads a tensor.
        inside: Only parameters of this module.
        outside: No parameters of these modules.

    Raises:
        EdgeqError: A tensor is missing or of the wrong shape.
    """
    tied = set(_tied_parameters(model))
    excluded = tuple(f"{name}." for name in outside)
    for name, parameter in list(model.named_parameters(remove_duplicate=False)):
        if not parameter.is_meta or name in tied or not name.startswith(inside) or name.startswith(excluded):
            continue
        value = load(name).to(torch.float32, copy=True)  # methods change weights in place, the file's never
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
