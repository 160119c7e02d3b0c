# SPDX-License-Identifier: Apache-2.0
"""Several weights in one operator: the same results as one operator for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeq.formats import BcqFormat, UniformFormat
from tests.custom_ops.graphs import (
    Floats,
    dint_gemm_attributes,
    gemm_model,
    open_session,
    random_bcq,
    random_uniform,
)
from tests.custom_ops.lut_reference import lut_gemm_attributes

K = 160
ROWS = (70, 33, 128)
Weights = list[np.ndarray]


def uniform(group_size: int, activation_bits: int) -> tuple[str, Weights, dict[str, Any]]:
    form = UniformFormat(3, group_size, symmetric=False)
    packed = [form.pack(random_uniform(form, n, K, seed=n)) for n in ROWS]
    return "DintGemm", packed, dint_gemm_attributes(form, ROWS[0], K, activation_bits)


def binary_coded(group_size: int, table_bits: int) -> tuple[str, Weights, dict[str, Any]]:
    form = BcqFormat(3, group_size)
    packed = [form.pack(random_bcq(form, n, K, seed=n)) for n in ROWS]
    return "LutGemm", packed, lut_gemm_attributes(form, ROWS[0], K, table_bits)


def fused_model(
    operator: str, weights: Weights, biases: list[Floats | None], attributes: dict[str, Any], outputs: int | None = None
) -> bytes:
    """One node with all weights; a bias that is ``None`` is left out."""
    inputs, constants = ["X"], []
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        for name, array in ((f"w{index}", weight), (f"b{index}", bias)):
            inputs.append("" if array is None else name)
            constants += [] if array is None else [numpy_helper.from_array(array, name)]
    names = [f"Y{index}" for index in range(len(weights) if outputs is None else outputs)]
    rows = {f"N{index or ''}": n for index, n in enumerate(ROWS[: len(weights)])}
    node = helper.make_node(operator, inputs, names, name="qkv", domain="com.edgeq", **(attributes | rows))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["tokens", K])
    graph = helper.make_graph([node], "fused", [x], ends, constants)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.edgeq", 1)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return model


@pytest.mark.parametrize(
    "case",
    [uniform(32, 8), uniform(0, 32), binary_coded(32, 8), binary_coded(128, 16)],
    ids=["int8", "float", "tables", "wide tables"],
)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("tokens", [1, 5, 90])
def test_results_are_those_of_separate_operators(
    isa: str, case: tuple[str, Weights, dict[str, Any]], count: int, tokens: int
) -> None:
    operator, weights, attributes = case
    rng = np.random.default_rng(tokens)
    biases = [None, rng.standard_normal(ROWS[1], np.float32), None][:count]
    x = rng.standard_normal((tokens, K), np.float32)
    results = open_session(fused_model(operator, weights[:count], biases, attributes), 2).run(None, {"X": x})
    for weight, bias, rows, result in zip(weights, biases, ROWS, results, strict=False):
        alone = open_session(gemm_model(operator, weight, attributes | {"N": rows}, bias, 2))
        np.testing.assert_array_equal(result, alone.run(None, {"X": x})[0])


def test_no_tokens() -> None:
    operator, weights, attributes = uniform(32, 8)
    session = open_session(fused_model(operator, weights, [None] * 3, attributes))
    shapes = [result.shape for result in session.run(None, {"X": np.zeros((0, K), np.float32)})]
    assert shapes == [(0, n) for n in ROWS]


@pytest.mark.parametrize("outputs", [1, 2])
def test_fewer_outputs_than_weights(outputs: int) -> None:
    operator, weights, attributes = uniform(32, 8)
    model = fused_model(operator, weights, [None] * 3, attributes, outputs)
    with pytest.raises(Exception, match=rf"node 'qkv': outputs: found {outputs}, wanted one for each weight, 3"):
        open_session(model)


def test_more_outputs_than_weights() -> None:
    operator, weights, attributes = uniform(32, 8)
    with pytest.raises(Exception, match="node 'qkv': outputs: found 2, wanted one for each weight, 1"):
        open_session(fused_model(operator, weights[:1], [None], attributes, 2))


@pytest.mark.parametrize("builder", [uniform, binary_coded])
@pytest.mark.parametrize("left_out", [1, 2])
def test_an_output_that_is_left_out(builder: Any, left_out: int) -> None:
    operator, weights, attributes = builder(32, 8)
    proto = onnx.load_from_string(fused_model(operator, weights, [None] * 3, attributes))
    proto.graph.node[0].output[left_out] = ""
    del proto.graph.output[left_out]
    with pytest.raises(Exception, match=f"node 'qkv': output Y{left_out}: found none, wanted one for each weight"):
        open_session(proto.SerializeToString())


@pytest.mark.parametrize(("position", "name"), [(4, "bias1"), (5, "W2"), (6, "bias2")])
def test_inputs_of_a_weight_that_is_missing(position: int, name: str) -> None:
    operator, weights, attributes = uniform(32, 8)
    proto = onnx.load_from_string(fused_model(operator, weights[:1], [None], attributes))
    tensor = weights[2] if name == "W2" else np.zeros(ROWS[position // 2 - 1], np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(tensor, name))
    inputs = proto.graph.node[0].input
    inputs.extend([""] * (position - len(inputs)) + [name])
    with pytest.raises(Exception, match=f"node 'qkv': input {name}: found a tensor, wanted none without W1"):
        open_session(proto.SerializeToString())


def test_names_of_what_is_wrong_are_numbered() -> None:
    operator, weights, attributes = uniform(32, 8)
    short = [weights[0], weights[1][:-1], weights[2]]
    with pytest.raises(Exception, match=r"node 'qkv': input W1: found shape \["):
        open_session(fused_model(operator, short, [None] * 3, attributes))
    biases = [None, None, np.zeros(5, np.float32)]
    with pytest.raises(Exception, match=r"node 'qkv': input bias2: found shape \[5\], wanted \[128\]"):
        open_session(fused_model(operator, weights, biases, attributes))


def test_missing_rows() -> None:
    operator, weights, attributes = uniform(32, 8)
    proto = onnx.load_from_string(fused_model(operator, weights, [None] * 3, attributes))
    kept = [attribute for attribute in proto.graph.node[0].attribute if attribute.name != "N2"]
    del proto.graph.node[0].attribute[:]
    proto.graph.node[0].attribute.extend(kept)
    with pytest.raises(Exception, match="node 'qkv': attribute N2: found none, wanted an integer"):
        open_session(proto.SerializeToString())
