# SPDX-License-Identifier: Apache-2.0
"""A transformers decoder as one ONNX graph with a key-value cache.

Inputs and outputs are named and shaped as onnxruntime-genai and optimum name and shape them::

    input_ids, position_ids        int64 [batch, new]
    attention_mask                 int64 [batch, total]: ones, and zeros at padding; the new tokens come last
    past_key_values.N.key, .value  float32 [batch, kv heads, past, head size], or longer buffers bound as present too
    num_logits_to_keep             int64 scalar, optional: compute only the last so many logits of each row; 0: all
    logits                         float32 [batch, new or num_logits_to_keep, vocabulary]
    present.N.key, .value          float32 [batch, kv heads, total, head size]

More than one new token after a non-empty past takes batch 1: a limit of the CPU's GroupQueryAttention, which says so.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, nn

from edgeq_export.architectures import Architecture, find_architecture
from edgeq_export.attention import Step, group_query_attention, use_step
from edgeq_export.factors import widen_factors
from edgeq_export.padding import RowOrder
from edgeq_export.quiet import quiet_tracing
from edgeq_export.simplify import simplify

OPSET = 23  # the first with RMSNormalization and RotaryEmbedding
KEEP = "num_logits_to_keep"
BATCH, NEW, PAST = 2, 3, 7  # example sizes; tracing takes a size of 1 for a constant


@dataclass(frozen=True)
class CacheShape:
    """The key-value cache: layers, key-value heads, size of a head."""

    layers: int
    heads: int
    size: int

    @classmethod
    def of(cls, config: Any) -> CacheShape:
        """From a transformers configuration."""
        heads = config.num_attention_heads
        return cls(
            config.num_hidden_layers,
            getattr(config, "num_key_value_heads", None) or heads,
            getattr(config, "head_dim", None) or config.hidden_size // heads,
        )

    @property
    def past_names(self) -> list[str]:
        """Names of the graph's inputs, keys and values in turn."""
        return [f"past_key_values.{layer}.{part}" for layer in range(self.layers) for part in ("key", "value")]

    @property
    def present_names(self) -> list[str]:
        """Names of the graph's outputs."""
        return [name.replace("past_key_values", "present") for name in self.past_names]


class FlatDecoder(nn.Module):
    """The model with the graph's inputs and outputs; meant to be traced, not to be run.

    Args:
        model: A transformers model with a language modelling head, under `group_query_attention`.
        architecture: Its entry in the table.
    """

    def __init__(self, model: Any, architecture: Architecture) -> None:
        super().__init__()
        self.model, self.architecture = model, architecture

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, keep: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        """Shapes as in the module's description."""
        rows = RowOrder.of(attention_mask, input_ids.shape[1])
        step = Step(
            past=list(zip(past[::2], past[1::2], strict=True)),
            seqlens_k=rows.seqlens_k,
            total_sequence_length=torch.full((), attention_mask.shape[1], dtype=torch.int32),
            scale=self.architecture.attention_scale,
        )
        head = self.model.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda _, arguments: (rows.restore(arguments[0], keep),))
        try:
            with use_step(step):
                logits = self.model(
                    input_ids=rows.arrange(input_ids), position_ids=rows.arrange(position_ids), use_cache=False
                ).logits
        finally:
            hook.remove()
        return logits, *(tensor for layer in sorted(step.present) for tensor in step.present[layer])


def trace_decoder(model: Any) -> ir.Model:
    """The graph of a transformers model in evaluation mode; weights are referred to, not copied.

    Raises:
        EdgeqError: The architecture, or an option of it, cannot be exported.
    """
    architecture = find_architecture(model.config)
    cache = CacheShape.of(model.config)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(group_query_attention(model))
        if architecture.traceable:
            stack.enter_context(architecture.traceable(model))
        stack.enter_context(quiet_tracing())
        program = torch.onnx.export(
            FlatDecoder(model, architecture),
            _example_inputs(cache),
            dynamo=True,
            opset_version=OPSET,
            input_names=["input_ids", "attention_mask", "position_ids", KEEP, *cache.past_names],
            output_names=["logits", *cache.present_names],
            dynamic_shapes=_dynamic_shapes(cache),
            verbose=False,
        )
    assert program is not None
    _finish(program.model)
    return program.model


def _example_inputs(cache: CacheShape) -> tuple[Tensor, ...]:
    return (
        torch.zeros(BATCH, NEW, dtype=torch.int64),
        torch.ones(BATCH, PAST + NEW, dtype=torch.int64),
        torch.arange(PAST, PAST + NEW).repeat(BATCH, 1),
        torch.tensor(0),
        *(torch.zeros(BATCH, cache.heads, PAST, cache.size) for _ in cache.past_names),
    )


def _dynamic_shapes(cache: CacheShape) -> tuple[Any, ...]:
    tokens = {0: "batch_size", 1: "sequence_length"}
    past = {0: "batch_size", 2: "past_sequence_length"}
    mask = {0: "batch_size", 1: "total_sequence_length"}
    return tokens, mask, tokens, {}, tuple(past for _ in cache.past_names)


def _finish(model: ir.Model) -> None:
    graph = model.graph
    keep = next(value for value in graph.inputs if value.name == KEEP)
    keep.const_value = ir.tensor(0, dtype=ir.DataType.INT64, name=KEEP)
    graph.register_initializer(keep)
    _rename_dimensions(graph, _dependents(keep))
    for value in list(graph.initializers.values()):
        assert value.name is not None
        value.name = value.name.removeprefix("model.")  # the name in the checkpoint, not that in `FlatDecoder`
    widen_factors(model)
    simplify(model)


def _dependents(value: ir.Value) -> set[ir.Value]:
    """Every value computed from this one."""
    found: set[ir.Value] = set()
    waiting = [value]
    while waiting:
        outputs = {output for node in waiting.pop().consumers() for output in node.outputs} - found
        found |= outputs
        waiting += outputs
    return found


def _rename_dimensions(graph: ir.Graph, kept: set[ir.Value]) -> None:
    """Names the sequence dimension of the ``kept`` logits, which tracing takes for that of the inputs."""
    names = {"past_sequence_length + sequence_length": "total_sequence_length"}
    for value in [*graph.outputs, *kept]:
        if value.shape is not None:
            new = names | ({"sequence_length": "num_logits"} if value in kept else {})
            value.shape = ir.Shape([new.get(str(dim), dim) for dim in value.shape])
