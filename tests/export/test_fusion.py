# SPDX-License-Identifier: Apache-2.0
"""Products that read the same input become one operator; the results are the same."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import edgeq_ops
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme
from edgeq_export.fusion import fuse_products
from edgeq_export.rewrite import quantize_model

K = 96
Floats = NDArray[np.float32]


def quantized(scheme: str, rows: dict[str, int], biased: bool = False, **overrides: str) -> ir.Model:
    """Products ``x → name`` of ``rows[name]`` features, quantized."""
    rng = np.random.default_rng(0)
    weights = {f"{name}.weight": rng.standard_normal((K, n), np.float32) for name, n in rows.items()}
    biases = {f"{name}.bias": rng.standard_normal(n, np.float32) for name, n in rows.items() if biased}
    operator, inputs = ("Gemm", "{0}.weight {0}.bias") if biased else ("MatMul", "{0}.weight")
    nodes = [helper.make_node(operator, ["x", *inputs.format(name).split()], [name]) for name in rows]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", K])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["tokens", n]) for name, n in rows.items()]
    constants = [numpy_helper.from_array(array, name) for name, array in (weights | biases).items()]
    graph = helper.make_graph(nodes, "graph", [x], outputs, constants)
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    quantize_model(model, Plan.build(Scheme.parse(scheme), layers=overrides))
    return model


def run(model: ir.Model) -> list[Floats]:
    """Results for 6 tokens."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    edgeq_ops.register(options)
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.random.default_rng(1).standard_normal((6, K), np.float32)})


def names_of_products(model: ir.Model) -> list[list[str]]:
    """Output names of each product."""
    return [[str(output.name) for output in node.outputs] for node in model.graph if node.domain == "com.edgeq"]


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("scheme", ["w4g32", "w3a32g64-asym", "w2g32-bcq"])
def test_results_are_the_same(scheme: str, biased: bool) -> None:
    model = quantized(scheme, {"q": 64, "k": 31, "v": 33}, biased)
    separate = run(model)
    fuse_products(model)
    assert names_of_products(model) == [["q", "k", "v"]]
    for wanted, found in zip(separate, run(model), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_weights_stay_tensors_of_their_own() -> None:
    model = quantized("w4g32", {"gate": 64, "up": 64})
    before = set(model.graph.initializers)
    fuse_products(model)
    assert set(model.graph.initializers) == before


def test_more_products_than_one_operator_takes() -> None:
    model = quantized("w4g32", dict.fromkeys("abcdefg", 32))
    fuse_products(model)
    assert names_of_products(model) == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


@pytest.mark.parametrize("other", ["w3g32", "w4g64", "w4g32-asym", "w4a32g32", "w3g32-bcq"])
def test_other_weights_stay_apart(other: str) -> None:
    model = quantized("w4g32", {"q": 64, "k": 32, "v": 32}, k=other)
    fuse_products(model)
    assert names_of_products(model) == [["q", "v"], ["k"]]


def test_other_inputs_stay_apart() -> None:
    model = quantized("w4g32", {"q": K, "k": 32})
    first, second = list(model.graph)
    second.replace_input_with(0, first.outputs[0])
    fuse_products(model)
    assert names_of_products(model) == [["q"], ["k"]]


def test_computed_bias_stays_apart() -> None:
    model = quantized("w4g32", {"q": 32, "k": 32}, biased=True)
    _, second = list(model.graph)
    computed = ir.node("Neg", [second.inputs[2]])
    second.prepend(computed)
    second.replace_input_with(2, computed.outputs[0])
    fuse_products(model)
    assert names_of_products(model) == [["q"], ["k"]]
    run(model)
