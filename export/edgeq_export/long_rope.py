# SPDX-License-Identifier: Apache-2.0
"""LongRoPE (arXiv 2402.13753) without a branch on values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class LongRope(nn.Module):
    """Rotary embedding that takes the long factors once a position reaches past the original context.

    Args:
        short: Inverse frequencies within the original context, float32 ``[width / 2]``.
        long: Those beyond it.
        limit: The original context length, tokens.
        scaling: Factor on cosine and sine.
    """

    short: Tensor
    long: Tensor

    def __init__(self, short: Tensor, long: Tensor, limit: int, scaling: float) -> None:
        super().__init__()
        self.register_buffer("short", short, persistent=False)
        self.register_buffer("long", long, persistent=False)
        self.limit, self.scaling = limit, scaling

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine, each ``[batch, sequence, width]``, in the type of ``x``."""
        frequencies = torch.where(position_ids.max() >= self.limit, self.long, self.short)
        angles = position_ids[..., None].float() * frequencies
        angles = torch.cat((angles, angles), dim=-1)
        return (angles.cos() * self.scaling).to(x.dtype), (angles.sin() * self.scaling).to(x.dtype)


@contextmanager
def traceable_long_rope(model: nn.Module) -> Iterator[None]:
    """Replaces the model's LongRoPE modules inside the block."""
    found = {name: module for name, module in model.named_modules() if getattr(module, "rope_type", None) == "longrope"}
    for name, module in found.items():
        model.set_submodule(name, _convert(module))
    try:
        yield
    finally:
        for name, module in found.items():
            model.set_submodule(name, module)


def _convert(module: Any) -> LongRope:
    limit = _original_context(module.config)
    frequencies = []
    for position in (0, limit):  # the module itself chooses its factors by the position
        module(torch.zeros(1), torch.tensor([[position]]))
        frequencies.append(module.inv_freq.detach().clone())
    module(torch.zeros(1), torch.tensor([[0]]))
    short, long = frequencies
    return LongRope(short, long, limit, float(module.attention_scaling))


def _original_context(config: Any) -> int:
    """Transformers 4 keeps it in the configuration, 5 in ``rope_parameters``."""
    parameters = getattr(config, "rope_parameters", None) or {}
    found = parameters.get(
        "original_max_position_embeddings", getattr(config, "original_max_position_embeddings", None)
    )
    return int(found or config.max_position_embeddings)
