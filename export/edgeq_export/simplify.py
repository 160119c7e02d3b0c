# SPDX-License-Identifier: Apache-2.0
"""Removes the moving of heads that tracing leaves between projections, rotary embedding and attention.

transformers keeps heads as an axis of their own, the operators take them side by side. For one token the nodes that go
back and forth cost as much as a small model's matrices; for prompts they copy every query and key twice.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgeq_export.node_names import inherit_module

SWAP_HEADS = (0, 2, 1, 3)  # [batch, heads, new, size] and [batch, new, heads, size]


def simplify(model: ir.Model) -> None:
    """Simplifies a traced decoder in place; what it computes stays the same, bit by bit."""
    for node in list(model.graph):
        if node.op_type == "RMSNormalization":
            _normalize_before_swapping(node)
    for node in list(model.graph):
        if node.op_type == "RotaryEmbedding":
            _rotate_side_by_side(node)
    for node in list(model.graph):
        if node.op_type == "Reshape":
            _join_reshapes(node)
    model.graph.sort()
    passes.CommonSubexpressionEliminationPass()(model)
    passes.RemoveUnusedNodesPass()(model)


def _normalize_before_swapping(norm: ir.Node) -> None:
    """Transpose, normalize the last axis becomes normalize, transpose."""
    swap = _producer(norm, 0)
    if swap is None or not _swaps_heads(swap) or _only_reader(swap) is not norm:
        return
    before, after = swap.outputs[0], norm.outputs[0]
    norm.replace_input_with(0, swap.inputs[0])
    after.replace_all_uses_with(before)
    swap.replace_input_with(0, after)
    before.shape, after.shape = (
        after.shape,
        None if after.shape is None else ir.Shape([after.shape[axis] for axis in SWAP_HEADS]),
    )
    graph = norm.graph
    assert graph is not None
    graph.remove(swap)
    norm.append(swap)


def _rotate_side_by_side(rotary: ir.Node) -> None:
    """Transpose, rotate, transpose, reshape becomes reshape, rotate: the operator takes heads side by side too."""
    before, after = _producer(rotary, 0), _only_reader(rotary)
    reshape = _only_reader(after) if _swaps_heads(after) else None
    if before is None or not _swaps_heads(before) or reshape is None or reshape.op_type != "Reshape":
        return
    joined = reshape.outputs[0]
    if joined.shape is None or len(joined.shape) != 3 or "num_heads" not in rotary.attributes:
        return
    source = ir.node("Reshape", [before.inputs[0], reshape.inputs[1]], {"allowzero": 1})
    source.outputs[0].shape, source.outputs[0].type = joined.shape, joined.type
    inherit_module(source, [rotary])
    rotary.prepend(source)
    rotary.replace_input_with(0, source.outputs[0])
    rotary.outputs[0].shape = joined.shape
    joined.replace_all_uses_with(rotary.outputs[0])


def _join_reshapes(node: ir.Node) -> None:
    """A reshape of a reshape is one; a reshape to the same shape is none."""
    while (inner := _producer(node, 0)) is not None and inner.op_type == "Reshape":
        node.replace_input_with(0, inner.inputs[0])
    source, result = node.inputs[0], node.outputs[0]
    assert source is not None
    if _same_shape(source.shape, result.shape) and not result.is_graph_output():
        result.replace_all_uses_with(source)


def _same_shape(first: ir.Shape | None, second: ir.Shape | None) -> bool:
    """Whether both shapes are known, by number or by name, and equal."""
    if first is None or second is None or first.has_unknown_dim() or second.has_unknown_dim():
        return False
    return list(first) == list(second)


def _producer(node: ir.Node, index: int) -> ir.Node | None:
    value = node.inputs[index]
    return None if value is None else value.producer()


def _only_reader(node: ir.Node | None) -> ir.Node | None:
    """The one node that reads a node's first output, if nothing else does."""
    if node is None or node.outputs[0].is_graph_output():
        return None
    readers = list(node.outputs[0].consumers())
    return readers[0] if len(readers) == 1 else None


def _swaps_heads(node: ir.Node | None) -> bool:
    if node is None or node.op_type != "Transpose":
        return False
    return tuple(node.attributes["perm"].as_ints()) == SWAP_HEADS
