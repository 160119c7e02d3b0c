# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's own nodes in the place of edgeq's."""

from __future__ import annotations

from functools import lru_cache

import onnx_ir as ir

from edgeq.formats import UniformFormat
from edgeq.quantization.operators import DOMAIN
from edgeq_export.matmul_nbits import BlockLayout, Unpack, lazy_tensors, unpack
from edgeq_export.passes import check, replace_node

STOCK_DOMAIN = "com.microsoft"
INT8_ACTIVATIONS, FLOAT_ACTIVATIONS = 4, 1  # values of MatMulNBits's accuracy_level


class StockWeights:
    """Codes, scales and zero points of each packed weight, converted once however many nodes read it."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._values: dict[ir.Value, list[ir.Value | None]] = {}
        self._integers: dict[tuple[int, ...], ir.Value] = {}
        # The parts of a weight are written one after the other: one unpacked weight at a time serves all of them.
        self._read: Unpack = lru_cache(maxsize=1)(unpack)  # type: ignore[assignment]

    def get(self, packed: ir.Value, layout: BlockLayout) -> list[ir.Value | None]:
        """Codes, scales, zero points (or ``None``)."""
        if packed not in self._values:
            assert packed.const_value is not None
            tensors = lazy_tensors(packed.const_value, layout, str(packed.name).removesuffix(".data"), self._read)
            values: list[ir.Value | None] = [self._register(tensor) for tensor in tensors]
            self._values[packed] = [*values, None][:3]
        return self._values[packed]

    def integers(self, *values: int) -> ir.Value:
        """A constant int64 vector."""
        if values not in self._integers:
            name = "edgeq.int64." + ".".join(map(str, values))
            self._integers[values] = self._register(ir.tensor(values, dtype=ir.DataType.INT64, name=name))
        return self._integers[values]

    def drop_packed(self) -> None:
        """Removes the packed weights, which no node reads any more."""
        for packed in self._values:
            assert packed.graph is not None
            packed.graph.initializers.pop(str(packed.name))

    def _register(self, tensor: ir.TensorProtocol) -> ir.Value:
        value = ir.val(tensor.name, const_value=tensor)
        self._graph.register_initializer(value)
        return value


def edgeq_nodes(model: ir.Model) -> list[ir.Node]:
    """All nodes of edgeq's domain."""
    return [node for node in model.graph.all_nodes() if node.domain == DOMAIN]


def format_of(node: ir.Node) -> UniformFormat:
    """The format of an edgeq node's weight.

    Raises:
        EdgeqError: It is not uniform.
    """
    attributes = node.attributes
    name = attributes["format"].as_string()
    check(name == UniformFormat.name, "no operator of ONNX Runtime's own for this format", field=node.name, found=name)
    return UniformFormat(
        attributes["bits"].as_int(),
        attributes["group_size"].as_int(),
        symmetric=not attributes["has_zero_point"].as_int(),
    )


def activation_bits(node: ir.Node) -> int | None:
    """Activation bits of a DintGemm; ``None`` for a QuantGather."""
    return node.attributes["activation_bits"].as_int() if "activation_bits" in node.attributes else None


def _layout(node: ir.Node) -> BlockLayout:
    return BlockLayout(format_of(node), node.attributes["N"].as_int(), node.attributes["K"].as_int())


def replace_matmul(node: ir.Node, weights: StockWeights) -> None:
    """DintGemm to MatMulNBits."""
    layout, packed = _layout(node), node.inputs[1]
    assert packed is not None
    codes, scales, zero_points = weights.get(packed, layout)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    inputs = [node.inputs[0], codes, scales, zero_points, None, bias]
    while inputs[-1] is None:
        inputs.pop()
    level = FLOAT_ACTIVATIONS if activation_bits(node) == 32 else INT8_ACTIVATIONS
    attributes = {"K": layout.columns, "N": layout.rows, "bits": layout.format.bits}
    attributes |= {"block_size": layout.format.group_size, "accuracy_level": level}
    replace_node(node, [ir.node("MatMulNBits", inputs, attributes, domain=STOCK_DOMAIN, name=node.name)])


def replace_gather(node: ir.Node, weights: StockWeights) -> None:
    """QuantGather to GatherBlockQuantized of whole blocks; columns past K, if any, are cut off."""
    layout, packed = _layout(node), node.inputs[1]
    assert packed is not None
    codes, scales, zero_points = weights.get(packed, layout)
    width = layout.padded_columns * layout.format.bits // 8
    rows = ir.node("Reshape", [codes, weights.integers(layout.rows, width)])
    inputs = [rows.outputs[0], node.inputs[0], scales, *([zero_points] if zero_points else [])]
    attributes = {
        "bits": layout.format.bits,
        "block_size": layout.format.group_size,
        "gather_axis": 0,
        "quantize_axis": 1,
    }
    gather = ir.node("GatherBlockQuantized", inputs, attributes, domain=STOCK_DOMAIN, name=node.name)
    nodes = [rows, gather]
    if layout.padded_columns != layout.columns:
        bounds = [weights.integers(0), weights.integers(layout.columns), weights.integers(-1)]
        nodes.append(ir.node("Slice", [gather.outputs[0], *bounds]))
    replace_node(node, nodes)
