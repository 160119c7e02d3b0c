# SPDX-License-Identifier: Apache-2.0
"""A transformers model without its weights, and the layers in it that can be quantized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate import init_empty_weights
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError


@dataclass(frozen=True)
class Target:
    """A layer that can be quantized.

    Attributes:
        name: Module name.
        kind: ``linear`` (weight ``[N, K]``), ``conv1d`` (GPT-2's linear, weight ``[K, N]``) or ``embedding``.
        rows: N, output features or vocabulary.
        columns: K, input features or width.
        vocabulary: Whether it is the token embedding or the output head.
        tied: Name of the output head that shares the weight, if any.
    """

    name: str
    kind: Literal["linear", "conv1d", "embedding"]
    rows: int
    columns: int
    vocabulary: bool = False
    tied: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the layer."""
        return (self.name,) if self.tied is None else (self.name, self.tied)


def build_skeleton(checkpoint: Checkpoint) -> nn.Module:
    """The model of a checkpoint with parameters on the meta device and real buffers, in evaluation mode.

    Raises:
        EdgeqError: transformers does not know the architecture.
    """
    architecture = (checkpoint.config.get("architectures") or ["an unnamed one"])[0]
    try:
        config = AutoConfig.from_pretrained(checkpoint.directory, local_files_only=True)
        loader: Any = AutoModelForCausalLM if architecture.endswith(("ForCausalLM", "LMHeadModel")) else AutoModel
        with init_empty_weights(include_buffers=False):
            model: Any = loader.from_config(config, dtype=torch.float32)
    except (ValueError, KeyError, AttributeError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:160]
        raise EdgeqError(
            f"unknown architecture ({reason})",
            file=checkpoint.directory / "config.json",
            field="architectures",
            found=architecture,
            wanted="one that this version of transformers knows",
        ) from error
    if getattr(model, "pooler", None) is not None and not any("pooler." in name for name in checkpoint.files):
        model.pooler = None  # many encoders are published without one, and no graph holds it
    built: nn.Module = model.eval()
    return built


def find_targets(model: nn.Module) -> list[Target]:
    """The quantizable layers in the order of the forward pass: token embedding, linears, untied head.

    A pooler is none of them: no graph holds it, and calibration does not reach it.
    """
    return list(_iterate_targets(model))


def _iterate_targets(model: Any) -> Iterator[Target]:
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head is not None and bool(getattr(model.config, "tie_word_embeddings", False))
    names = {id(module): name for name, module in model.named_modules()}
    for name, module in model.named_modules():
        if name.startswith("pooler."):
            continue
        if module is embedding:
            rows, columns = module.weight.shape
            yield Target(name, "embedding", rows, columns, vocabulary=True, tied=names[id(head)] if tied else None)
        elif isinstance(module, nn.Linear) and not (tied and module is head):
            rows, columns = module.weight.shape
            yield Target(name, "linear", rows, columns, vocabulary=module is head)
        elif isinstance(module, Conv1D):
            columns, rows = module.weight.shape
            yield Target(name, "conv1d", rows, columns)
