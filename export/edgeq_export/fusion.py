# SPDX-License-Identifier: Apache-2.0
"""Merges products that read the same input (q, k and v; gate and up) into one operator with several outputs.

The operator prepares the activations once and divides the tiles of all weights over the threads at once. Weights stay
tensors of their own. The results are the same, bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import onnx_ir as ir

from edgeq.quantization.operators import DOMAIN, ROW_SUMS_INPUT
from edgeq_export.node_names import inherit_module

OPERATORS = ("DintGemm", "LutGemm")
MAX_PRODUCTS = 3  # weights that one operator takes (docs/operators.md)

Key = tuple[ir.Value | None, str, str]


def fuse_products(model: ir.Model) -> None:
    """Fuses in place. Products with another format, bits, group size or activation bits stay apart."""
    for graph in model.graphs():
        products: dict[Key, list[ir.Node]] = {}
        for node in graph:
            if node.domain == DOMAIN and node.op_type in OPERATORS and _can_move(node):
                products.setdefault(_key(node), []).append(node)
        for nodes in products.values():
            for start in range(0, len(nodes) - 1, MAX_PRODUCTS):
                _fuse(nodes[start : start + MAX_PRODUCTS])


def _can_move(node: ir.Node) -> bool:
    """Whether the bias, if there is one, is known before any node runs, and no other product is in the node already."""
    inputs = [value for value in node.inputs[2:] if value is not None]
    return len(node.outputs) == 1 and all(value.const_value is not None for value in inputs)


def _key(node: ir.Node) -> Key:
    """Equal for products that one operator can compute: all but the number of rows."""
    attributes = sorted((name, str(value.value)) for name, value in node.attributes.items() if name != "N")
    return node.inputs[0], node.op_type, str(attributes)


def _fuse(nodes: Sequence[ir.Node]) -> None:
    first = nodes[0]
    weights = chain.from_iterable((node.inputs[1], _input(node, 2)) for node in nodes)
    inputs = [first.inputs[0], *weights]
    sums = [_input(node, ROW_SUMS_INPUT) for node in nodes]
    if any(sums):
        inputs += [*[None] * (ROW_SUMS_INPUT - len(inputs)), *sums]
    rows = {f"N{index or ''}": node.attributes["N"].as_int() for index, node in enumerate(nodes)}
    others = {name: value.value for name, value in first.attributes.items() if name != "N"}
    fused = ir.node(
        first.op_type,
        inputs,
        others | rows,
        domain=DOMAIN,
        num_outputs=len(nodes),
        version=first.version,
        name=first.name,
    )
    inherit_module(fused, nodes)
    assert first.graph is not None
    outputs = [node.outputs[0] for node in nodes]
    ir.convenience.replace_nodes_and_values(first.graph, first, nodes, [fused], outputs, fused.outputs)


def _input(node: ir.Node, index: int) -> ir.Value | None:
    """An input that may be left out."""
    return node.inputs[index] if index < len(node.inputs) else None
