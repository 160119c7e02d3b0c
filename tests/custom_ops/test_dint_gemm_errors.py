# SPDX-License-Identifier: Apache-2.0
"""Every attribute, shape and size is checked, and the message names the node, the thing, what was found and wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import dint_gemm_attributes, one_node_model, open_session, random_uniform

FORM = UniformFormat(4, 32)
PACKED = FORM.pack(random_uniform(FORM, 40, 96))
GOOD = dint_gemm_attributes(FORM, 40, 96, 8)


def model(attributes: dict[str, Any], **constants: np.ndarray) -> bytes:
    return one_node_model("DintGemm", {"X": ["tokens", "features"]}, {"W": PACKED} | constants, attributes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": 0}, "attribute K: found 0, wanted 1 to 2147483647"),
        ({"N": -1}, "attribute N: found -1, wanted 1 to 2147483647"),
        ({"N": 2**40}, "attribute N: found 1099511627776, wanted 1 to 2147483647"),
        ({"bits": 5}, "attribute bits: found 5, wanted 2, 3, 4 or 8"),
        ({"group_size": 48}, "attribute group_size: found 48, wanted a multiple of 32, or 0"),
        ({"group_size": -32}, "attribute group_size: found -32, wanted 0 to 2147483647"),
        ({"format": "bcq"}, "attribute format: found 'bcq', wanted 'uniform'"),
        ({"has_zero_point": 2}, "attribute has_zero_point: found 2, wanted 0 to 1"),
        ({"activation_bits": 4}, "attribute activation_bits: found 4, wanted 8, 16 or 32"),
        ({"K": 128}, f"input W: found shape [{PACKED.size}], wanted [4608]"),
        ({"has_zero_point": 1}, f"input W: found shape [{PACKED.size}], wanted [3648]"),
        ({"N": 2**31 - 1, "K": 2**31 - 1}, f"input W: found shape [{PACKED.size}], wanted ["),
    ],
)
def test_attributes(change: dict[str, int | str], message: str) -> None:
    with pytest.raises(Exception, match=r"com\.edgeq\.DintGemm node 'head': ") as caught:
        open_session(model(GOOD | change))
    assert message in str(caught.value)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_missing_attributes(name: str) -> None:
    kind = "a string" if name == "format" else "an integer"
    with pytest.raises(Exception, match=f"node 'head': attribute {name}: found none, wanted {kind}"):
        open_session(model({key: value for key, value in GOOD.items() if key != name}))


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"format": "dint", "denominator": 4.0}, "denominator: found another type, wanted an integer"),
        ({"format": "dint", "denominator": "4"}, "denominator: found another type, wanted an integer"),
        ({"weight_compression": 1}, "weight_compression: found another type, wanted a string"),
        ({"activation_quantization": 1.0}, "activation_quantization: found another type, wanted a string"),
    ],
)
def test_optional_attributes_of_another_type(change: dict[str, Any], wanted: str) -> None:
    with pytest.raises(Exception, match=f"node 'head': attribute {wanted}"):
        open_session(model(GOOD | change))


@pytest.mark.parametrize("shape", [(1, -1), (-1, 1), ()])
def test_packed_weight_of_another_rank(shape: tuple[int, ...]) -> None:
    weight = PACKED.reshape(shape) if shape else PACKED[0]
    with pytest.raises(Exception, match=r"node 'head': input W: found shape \["):
        open_session(model(GOOD, W=weight))


def test_computed_weight() -> None:
    from onnx import TensorProto, helper

    ends = [("X", TensorProto.FLOAT), ("W", TensorProto.UINT8)]
    node = helper.make_node("DintGemm", ["X", "W"], ["Y"], name="head", domain="com.edgeq", **GOOD)
    inputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in ends]
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.edgeq", 1)]
    with pytest.raises(Exception, match="input W: found a computed tensor, wanted a constant initializer"):
        open_session(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def test_constant_bias_of_another_size() -> None:
    with pytest.raises(Exception, match=r"node 'head': input bias: found shape \[39\], wanted \[40\]"):
        open_session(model(GOOD, bias=np.zeros(39, np.float32)))


def test_computed_bias_of_another_size() -> None:
    graph = one_node_model("DintGemm", {"X": ["t", 96]}, {"W": PACKED}, GOOD)
    import onnx

    proto = onnx.load_from_string(graph)
    proto.graph.node[0].input.append("bias")
    proto.graph.input.append(onnx.helper.make_tensor_value_info("bias", onnx.TensorProto.FLOAT, ["n"]))
    session = open_session(proto.SerializeToString())
    with pytest.raises(Exception, match=r"node 'head': input bias: found shape \[1\], wanted \[40\]"):
        session.run(None, {"X": np.zeros((1, 96), np.float32), "bias": np.zeros(1, np.float32)})


@pytest.mark.parametrize("features", [0, 95, 97])
def test_activations_of_another_width(features: int) -> None:
    session = open_session(model(GOOD))
    with pytest.raises(Exception, match=rf"node 'head': input X: found shape \[2, {features}\], wanted \[..., 96\]"):
        session.run(None, {"X": np.zeros((2, features), np.float32)})


def test_unknown_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEQ_ISA", "abacus")
    with pytest.raises(Exception, match="EDGEQ_ISA: found 'abacus', wanted one that this CPU can run: generic"):
        open_session(model(GOOD))
