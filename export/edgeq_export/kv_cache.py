# SPDX-License-Identifier: Apache-2.0
"""Quantized key-value caches: ONNX Runtime's GroupQueryAttention keeps codes and multiplies by them.

The operator's CPU kernel takes keys and values of the same kind only, static symmetric scales per channel, codes of 8
bits as int8, or of 4 bits two to a byte as uint8 (ONNX Runtime 1.31).
"""

from __future__ import annotations

import re

import onnx_ir as ir

from edgeq.errors import EdgeqError
from edgeq.kv_cache import CacheScales

KEY_SCALE, VALUE_SCALE = 12, 13  # inputs of GroupQueryAttention
INPUTS = 14
_LAYER = re.compile(r"past_key_values\.(\d+)\.key")


def quantize_cache(model: ir.Model, scales: CacheScales) -> None:
    """Makes the attention of a decoder graph keep codes, in place.

    Args:
        model: A graph of `edgeq_export.decoder.trace_decoder`.
        scales: Of every layer.

    Raises:
        EdgeqError: Heads have an odd size, and codes of 4 bits do not fill bytes.
    """
    for node in list(model.graph):
        if node.op_type == "GroupQueryAttention":
            _quantize(model.graph, node, scales)


def _quantize(graph: ir.Graph, node: ir.Node, scales: CacheScales) -> None:
    past_key, past_value = node.inputs[3], node.inputs[4]
    assert past_key is not None
    assert past_value is not None
    match = _LAYER.fullmatch(str(past_key.name))
    assert match is not None
    layer = int(match[1])
    for value in (past_key, past_value, node.outputs[1], node.outputs[2]):
        _hold_codes(value, scales.bits)
    node.resize_inputs(INPUTS)
    for index, part, values in ((KEY_SCALE, "key", scales.keys), (VALUE_SCALE, "value", scales.values)):
        name = f"kv_cache.{layer}.{part}_scale"
        scale = ir.val(name, const_value=ir.tensor(values[layer], name=name))
        graph.register_initializer(scale)
        node.replace_input_with(index, scale)
    kinds = ir.convenience.convert_attributes(
        {"k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_CHANNEL", "kv_cache_bit_width": scales.bits}
    )
    for attribute in kinds:
        node.attributes.add(attribute)


def _hold_codes(value: ir.Value, bits: int) -> None:
    """Type and shape of a past or present."""
    value.type = ir.TensorType(ir.DataType.INT8 if bits == 8 else ir.DataType.UINT8)
    assert value.shape is not None
    *leading, size = value.shape
    assert isinstance(size, int)
    if size * bits % 8:
        raise EdgeqError("codes do not fill bytes", field="--kv-cache", found=f"head size {size}", wanted="an even one")
    value.shape = ir.Shape([*leading, size * bits // 8])
