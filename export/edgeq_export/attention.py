# SPDX-License-Identifier: Apache-2.0
"""Attention as ``com.microsoft.GroupQueryAttention``, through transformers' attention interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "edgeq_group_query_attention"
OPERATOR = "com.microsoft::GroupQueryAttention"
Pair = tuple[Tensor, Tensor]


@dataclass
class Step:
    """What one traced forward pass carries past the model to its attention layers.

    Attributes:
        past: Keys and values of each layer, ``[batch, kv heads, past length, head size]``.
        seqlens_k: int32 ``[batch]``, the operator's input of that name: tokens in the cache after this step, minus one.
        total_sequence_length: int32 scalar, the longest of them.
        scale: Scale of the scores of a layer, where the model does not pass it on.
        present: Filled by the layers: past keys and values followed by the new ones.
    """

    past: list[Pair]
    seqlens_k: Tensor
    total_sequence_length: Tensor
    scale: Callable[[Any], float] | None = None
    present: dict[int, Pair] = field(default_factory=dict)


_current: ContextVar[Step] = ContextVar("step")


@contextmanager
def use_step(step: Step) -> Iterator[None]:
    """Attention layers called inside the block belong to ``step``."""
    token = _current.set(step)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def group_query_attention(model: Any) -> Iterator[None]:
    """Makes the model's attention emit the operator inside the block; no mask is computed for it."""
    before = model.config._attn_implementation
    ALL_ATTENTION_FUNCTIONS.register(NAME, _attend)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Transformers' attention interface: query ``[batch, heads, new, size]`` to ``[batch, new, heads, size]``."""
    step = _current.get()
    batch, heads, new, size = query.shape
    if scaling is None:
        scaling = step.scale(module) if step.scale else size**-0.5
    attributes: dict[str, Any] = {"num_heads": heads, "kv_num_heads": key.shape[1], "scale": float(scaling)}
    if softcap:
        attributes["softcap"] = float(softcap)
    if sliding_window:
        attributes["local_window_size"] = int(sliding_window)
    past_key, past_value = step.past[module.layer_idx]
    cache = (batch, key.shape[1], past_key.shape[2] + new, size)
    output, present_key, present_value = torch.onnx.ops.symbolic_multi_out(
        OPERATOR,
        (*map(_join_heads, (query, key, value)), past_key, past_value, step.seqlens_k, step.total_sequence_length),
        attributes,
        dtypes=(query.dtype,) * 3,
        shapes=((batch, new, heads * size), cache, cache),
        version=1,
    )
    step.present[module.layer_idx] = (present_key, present_value)
    return output.reshape(batch, new, heads, size), None


def _join_heads(tensor: Tensor) -> Tensor:
    batch, heads, new, size = tensor.shape
    return tensor.transpose(1, 2).reshape(batch, new, heads * size)
