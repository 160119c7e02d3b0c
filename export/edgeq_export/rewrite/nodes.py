# SPDX-License-Identifier: Apache-2.0
"""The edgeq nodes that take the place of MatMul, Gemm and Gather."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeq.quantization.operators import DOMAIN, ROW_SUMS_INPUT, Attributes
from edgeq_export.passes import replace_node
from edgeq_export.rewrite.matching import Use


def replace_use(
    use: Use, packed: ir.Value, operator: str, attributes: Attributes, row_sums: ir.Value | None = None
) -> None:
    """Replaces a use of a matrix by an edgeq operator on the packed matrix.

    The operators compute in float32; in a graph of 16-bit floats, casts before and after keep its types as they were.

    Args:
        use: The nodes to replace.
        packed: The packed matrix, an initializer.
        operator: Operator type.
        attributes: Its attributes.
        row_sums: The sums of the matrix's rows, an initializer, where a product wants them.
    """
    if use.gathers:
        nodes = _gather(use, packed, operator, attributes)
    else:
        nodes = _matmul(use, packed, operator, attributes, row_sums)
    if use.dtype != ir.DataType.FLOAT:
        nodes.append(_cast(nodes[-1].outputs[0], use.dtype))
    replace_node(use.node, nodes, use.output)


def _matmul(
    use: Use, packed: ir.Value, operator: str, attributes: Attributes, row_sums: ir.Value | None
) -> list[ir.Node]:
    nodes: list[ir.Node] = []

    def widen(value: ir.Value) -> ir.Value:
        if use.dtype == ir.DataType.FLOAT:
            return value
        nodes.append(_cast(value, ir.DataType.FLOAT))
        return nodes[-1].outputs[0]

    bias = use.bias and _constant_bias(use.bias, use.shape[0], f"{use.output.name}.bias")
    inputs: list[ir.Value | None] = [widen(use.data), packed, *([bias] if bias else [])]
    if row_sums is not None:
        inputs += [*[None] * (ROW_SUMS_INPUT - len(inputs)), row_sums]
    nodes.append(ir.node(operator, inputs, attributes, domain=DOMAIN, name=use.node.name))
    if use.bias and not bias:
        product = nodes[-1].outputs[0]
        nodes.append(ir.node("Add", [product, widen(use.bias)]))
    return nodes


def _gather(use: Use, packed: ir.Value, operator: str, attributes: Attributes) -> list[ir.Node]:
    # ONNX's Gather takes int32 indices too, QuantGather does not.
    nodes = [] if use.data.dtype == ir.DataType.INT64 else [_cast(use.data, ir.DataType.INT64)]
    indices = nodes[-1].outputs[0] if nodes else use.data
    return [*nodes, ir.node(operator, [indices, packed], attributes, domain=DOMAIN, name=use.node.name)]


def _cast(value: ir.Value, dtype: ir.DataType) -> ir.Node:
    return ir.node("Cast", [value], {"to": int(dtype)})


def _constant_bias(bias: ir.Value, rows: int, name: str) -> ir.Value | None:
    """A constant bias as float32 ``[N]``; ``None`` if it is not constant or differs between rows of activations."""
    tensor = bias.const_value if bias.is_initializer() and not bias.is_graph_input() else None
    if tensor is None or bias.graph is None:
        return None
    if tensor.dtype == ir.DataType.FLOAT and tuple(tensor.shape) == (rows,):
        return bias
    values = np.array(tensor.numpy(), dtype=np.float32)
    if values.size not in (1, rows) or (values.ndim and values.shape[-1] != values.size):
        return None
    constant = ir.val(name, const_value=ir.tensor(np.broadcast_to(values.reshape(-1), (rows,)).copy(), name=name))
    bias.graph.register_initializer(constant)
    return constant
