# SPDX-License-Identifier: Apache-2.0
"""What kind of model a graph is, from the names of its inputs and outputs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import onnx_ir as ir

from edgeq.errors import EdgeqError

Kind = Literal["decoder", "encoder", "graph"]

PAST, PRESENT = "past_key_values.%d.{}", "present.%d.{}"
_PAST_KEY = re.compile(r"past_key_values\.\d+\.key")
_PAST = re.compile(r"past_key_values\.\d+\.(key|value)")
_TEXT_INPUTS = {"input_ids", "attention_mask"}
_DECODER_INPUTS = {*_TEXT_INPUTS, "position_ids"}
_ENCODER_INPUTS = {*_TEXT_INPUTS, "token_type_ids"}
_HIDDEN_STATES = {"last_hidden_state", "token_embeddings"}


def kind_of(model: ir.Model, has_config: bool) -> Kind:
    """``decoder`` for token ids and a key-value cache to logits, ``encoder`` for token ids to hidden states.

    Args:
        model: The graph.
        has_config: Whether the model's transformers configuration is known; without it nothing can run a text model.
    """
    inputs = {str(value.name) for value in _true_inputs(model)}
    outputs = {str(value.name) for value in model.graph.outputs}
    past = {name for name in inputs if _PAST.fullmatch(name)}
    if has_config and past and "logits" in outputs and _TEXT_INPUTS <= inputs - past <= _DECODER_INPUTS:
        return "decoder"
    if has_config and outputs & _HIDDEN_STATES and _TEXT_INPUTS <= inputs <= _ENCODER_INPUTS:
        return "encoder"
    return "graph"


@dataclass(frozen=True)
class Cache:
    """The key-value cache of a decoder graph.

    Attributes:
        layers: Number of layers.
        heads: Key-value heads.
        head_size: Width of a head.
        shared: Whether the graph appends to the past in place (GroupQueryAttention) instead of concatenating.
    """

    layers: int
    heads: int
    head_size: int
    shared: bool


def cache_of(model: ir.Model) -> Cache:
    """The cache of a graph of kind ``decoder``.

    Raises:
        EdgeqError: Heads or head size are not fixed in the graph.
    """
    keys = [value for value in _true_inputs(model) if _PAST_KEY.fullmatch(str(value.name))]
    shape: Any = keys[0].shape
    sizes = [size if isinstance(size, int) else None for size in shape] if shape is not None else []
    if len(sizes) != 4 or sizes[1] is None or sizes[3] is None:
        raise EdgeqError(
            "cache of unknown shape", field=keys[0].name, found=shape, wanted="[batch, heads, past, head size]"
        )
    per_byte = 2 if keys[0].dtype == ir.DataType.UINT8 else 1  # codes of 4 bits
    readers = {usage.node.op_type for value in keys for usage in value.uses()}
    return Cache(len(keys), sizes[1], sizes[3] * per_byte, readers == {"GroupQueryAttention"})


def _true_inputs(model: ir.Model) -> list[ir.Value]:
    """Inputs without a default value."""
    return [value for value in model.graph.inputs if value.name not in model.graph.initializers]
