# SPDX-License-Identifier: Apache-2.0
"""Foreign ONNX graphs: which matrices are quantized, that the result is right, and what is left alone and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import edgeq_ops
from edgeq.errors import EdgeqError
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme
from edgeq_export.rewrite import GraphPlan, quantize_model

RNG = np.random.default_rng(20)
FLOAT_SCHEMES = ["w2a32g32", "w3a32g64-asym", "w4a32g32", "w4a32", "w8a32g128"]


def graph(nodes, inputs, outputs, initializers, *, opset=20, ir_version=10):
    """A model; inputs are (name, element type, shape), outputs (name, element type)."""
    proto = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [
            helper.make_tensor_value_info(name, kind, shape)
            for name, kind, *rest in outputs
            for shape in (rest or [None])
        ],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return ir.from_proto(helper.make_model(proto, opset_imports=opsets, ir_version=ir_version))


def run(model, **feeds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    edgeq_ops.register(options)
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def quantize(model, scheme, **overrides) -> GraphPlan:
    return quantize_model(model, Plan.build(Scheme.parse(scheme), layers=overrides))


def edgeq_nodes(model):
    return [node for node in model.graph.all_nodes() if node.domain == "com.edgeq"]


def decode(node, scheme):
    """float64 ``[N, K]`` of an edgeq node's weight."""
    fmt = Scheme.parse(scheme).weights
    rows, columns = node.attributes["N"].as_int(), node.attributes["K"].as_int()
    return fmt.decode(fmt.unpack(node.inputs[1].const_value.numpy(), rows, columns)).astype(np.float64)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def assert_close(found, wanted, tolerance):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= tolerance * max(np.abs(wanted).max(), 1e-6)


@dataclass
class Linear:
    """One way to write ``x Wᵀ + b`` in ONNX."""

    name: str
    rows: int
    columns: int
    batch: tuple[int, ...]

    def model(self, weight, bias):
        """The graph for ``weight`` [N, K]."""
        initializers = {"layer.weight": weight if self.stores_rows else np.ascontiguousarray(weight.T)}
        if self.name != "matmul":
            initializers["layer.bias"] = bias.reshape(1, -1) if self.name == "gemm_row" else bias
        x = ("x", TensorProto.FLOAT, [*[f"d{i}" for i in range(len(self.batch))], self.columns])
        return graph(self.nodes(), [x], [("y", TensorProto.FLOAT)], initializers)

    @property
    def stores_rows(self):
        return self.name in ("transpose_matmul_add", "gemm_b", "gemm_row")

    def nodes(self):
        weight, bias = "layer.weight", "layer.bias"
        match self.name:
            case "matmul":
                return [helper.make_node("MatMul", ["x", weight], ["y"])]
            case "matmul_add":
                product = helper.make_node("MatMul", ["x", weight], ["p"])
                return [product, helper.make_node("Add", [bias, "p"], ["y"])]
            case "transpose_matmul_add":
                turn = helper.make_node("Transpose", [weight], ["t"], perm=[1, 0])
                product = helper.make_node("MatMul", ["x", "t"], ["p"])
                return [turn, product, helper.make_node("Add", ["p", bias], ["y"])]
            case "gemm":
                return [helper.make_node("Gemm", ["x", weight, bias], ["y"])]
            case _:
                return [helper.make_node("Gemm", ["x", weight, bias], ["y"], transB=1)]


@st.composite
def linears(draw):
    name = draw(st.sampled_from(["matmul", "matmul_add", "transpose_matmul_add", "gemm", "gemm_b", "gemm_row"]))
    size = st.integers(33, 150)
    length = 1 if name.startswith("gemm") else draw(st.integers(1, 3))
    return Linear(name, draw(size), draw(size), tuple(draw(st.integers(1, 4)) for _ in range(length)))


@settings(max_examples=25, deadline=None)
@given(linear=linears(), scheme=st.sampled_from(FLOAT_SCHEMES), seed=st.integers(0, 2**32 - 1))
def test_a_linear_layer_equals_its_decoded_weights(linear, scheme, seed):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((linear.rows, linear.columns)).astype(np.float32)
    bias = rng.standard_normal(linear.rows).astype(np.float32)
    x = rng.standard_normal((*linear.batch, linear.columns)).astype(np.float32)
    model = linear.model(weight, bias)
    result = quantize(model, scheme)

    (node,) = edgeq_nodes(model)
    assert len(list(model.graph)) == 1
    assert [record.name for record in result.records] == ["layer"]
    assert result.kept == []
    decoded = decode(node, scheme)
    if scheme.startswith("w8"):  # the right way round, and near the original
        assert_close(decoded, weight.astype(np.float64), 0.01)
    wanted = x.astype(np.float64) @ decoded.T + (0 if linear.name == "matmul" else bias)
    assert_close(run(model, x=x)[0], wanted, 1e-5)


@pytest.mark.parametrize("addend", ["scalar", "column", "dynamic"])
def test_gemm_with_an_addend_that_is_no_bias_per_output(addend):
    initializers = {"w": normal(96, 64)}
    values = {"scalar": np.float32(0.5), "column": normal(3, 1), "dynamic": normal(3, 96)}[addend]
    inputs = [("x", TensorProto.FLOAT, [3, 64])]
    if addend == "dynamic":
        inputs.append(("c", TensorProto.FLOAT, [3, 96]))
    else:
        initializers["c"] = np.asarray(values)
    nodes = [helper.make_node("Gemm", ["x", "w", "c"], ["y"], transB=1)]
    model = graph(nodes, inputs, [("y", TensorProto.FLOAT)], initializers)
    quantize(model, "w8a32g32")
    x = normal(3, 64)
    feeds = {"x": x} | ({"c": values} if addend == "dynamic" else {})
    wanted = x.astype(np.float64) @ decode(edgeq_nodes(model)[0], "w8a32g32").T + values
    assert_close(run(model, **feeds)[0], wanted, 1e-5)


@pytest.mark.parametrize("stored", ["transpose node", "transposed copy"])
def test_a_tied_embedding_and_head_share_one_packed_tensor(stored):
    table = normal(100, 64)
    initializers = {"embed.weight": table}
    nodes = [helper.make_node("Gather", ["embed.weight", "input_ids"], ["h"])]
    if stored == "transpose node":
        nodes.append(helper.make_node("Transpose", ["embed.weight"], ["t"]))
    else:
        initializers["t"] = np.ascontiguousarray(table.T)
    nodes.append(helper.make_node("MatMul", ["h", "t"], ["y"], name="/lm_head/MatMul"))
    inputs = [("input_ids", TensorProto.INT32, ["b", "s"])]
    model = graph(nodes, inputs, [("y", TensorProto.FLOAT)], initializers)
    result = quantize(model, "w8a32g32", lm_head="w4a32g32")  # either name selects the pair

    (record,) = result.records
    assert (record.operators, record.scheme) == (["QuantGather", "DintGemm"], "w4a32g32")
    gather, matmul = edgeq_nodes(model)
    assert gather.inputs[1] is matmul.inputs[1]
    assert len(model.graph.initializers) == 1
    ids = np.array([[0, 99, 3]], np.int32)
    decoded = decode(matmul, "w4a32g32")
    assert_close(run(model, input_ids=ids)[0], decoded[ids] @ decoded.T, 1e-5)


def test_a_weight_with_two_readers_is_packed_once():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    model = graph(nodes, [("x", TensorProto.FLOAT, [2, 64])], [("y", TensorProto.FLOAT)], {"w": normal(64, 64)})
    result = quantize(model, "w4a32g32")
    assert len(result.records) == 1
    first, second = edgeq_nodes(model)
    assert first.inputs[1] is second.inputs[1]
    x = normal(2, 64)
    decoded = decode(first, "w4a32g32").T
    assert_close(run(model, x=x)[0], x @ decoded @ decoded, 1e-5)


def test_an_intermediate_product_that_is_an_output_keeps_its_value():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["y"])]
    outputs = [("p", TensorProto.FLOAT), ("y", TensorProto.FLOAT)]
    model = graph(nodes, [("x", TensorProto.FLOAT, [2, 64])], outputs, {"w": normal(64, 40), "b": normal(40)})
    quantize(model, "w8a32g32")
    product, total = run(model, x=normal(2, 64))
    bias = model.graph.initializers["b"].const_value.numpy()
    np.testing.assert_allclose(total - product, np.broadcast_to(bias, total.shape), atol=1e-5)


def test_16_bit_floats_keep_the_types_of_the_graph():
    weight, bias, table = normal(64, 48).astype(np.float16), normal(48).astype(np.float16), normal(90, 64)
    initializers = {"w": weight, "b": bias, "embed": table.astype(np.float16)}
    nodes = [
        helper.make_node("Gather", ["embed", "input_ids"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["y"]),
    ]
    inputs = [("input_ids", TensorProto.INT64, ["s"])]
    model = graph(nodes, inputs, [("y", TensorProto.FLOAT16, ["s", 48])], initializers)
    quantize(model, "w8a32g32")
    onnx.checker.check_model(ir.to_proto(model))
    gather, matmul = edgeq_nodes(model)
    ids = np.array([5, 0, 89])
    (found,) = run(model, input_ids=ids)
    assert found.dtype == np.float16
    hidden = decode(gather, "w8a32g32")[ids].astype(np.float16).astype(np.float64)
    assert_close(found.astype(np.float64), hidden @ decode(matmul, "w8a32g32").T + bias, 2e-3)


def test_a_weight_cast_from_16_bits_in_the_graph():
    nodes = [
        helper.make_node("Cast", ["w"], ["w32"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "w32"], ["y"]),
    ]
    initializers = {"w": normal(64, 48).astype(np.float16)}
    model = graph(nodes, [("x", TensorProto.FLOAT, [1, 64])], [("y", TensorProto.FLOAT)], initializers)
    quantize(model, "w8a32g32")
    assert [node.op_type for node in model.graph] == ["DintGemm"]
    assert list(model.graph.initializers) == [edgeq_nodes(model)[0].inputs[1].name]
    assert run(model, x=normal(1, 64))[0].dtype == np.float32


def test_constants_and_branches_of_an_if():
    def branch(name, weight):
        node = helper.make_node("MatMul", ["x", weight], [f"{name}.y"], name=f"/{name}/MatMul")
        constant = helper.make_node("Constant", [], [weight], value=numpy_helper.from_array(normal(64, 64), weight))
        value = helper.make_tensor_value_info(f"{name}.y", TensorProto.FLOAT, None)
        return helper.make_graph([constant, node], name, [], [value])

    nodes = [
        helper.make_node("If", ["flag"], ["y"], then_branch=branch("then", "w1"), else_branch=branch("else", "w2"))
    ]
    inputs = [("flag", TensorProto.BOOL, []), ("x", TensorProto.FLOAT, [2, 64])]
    model = graph(nodes, inputs, [("y", TensorProto.FLOAT)], {})
    result = quantize(model, "w4a32g32")
    assert len(result.records) == 2
    x = normal(2, 64)
    for node in edgeq_nodes(model):
        (found,) = run(model, flag=np.array("then" in node.name), x=x)
        assert_close(found, x @ decode(node, "w4a32g32").T, 1e-5)


KEPT = {
    "three dimensions": ([("MatMul", ["x", "w"], {})], normal(2, 64, 64), "3 dimensions"),
    "left operand": ([("MatMul", ["w", "x"], {})], normal(64, 64), "left operand"),
    "scaled": ([("Gemm", ["x", "w"], {"alpha": 0.5})], normal(64, 64), "alpha = 0.5"),
    "transposed activations": ([("Gemm", ["x", "w"], {"transA": 1})], normal(64, 64), "transA = 1"),
    "double": ([("MatMul", ["x", "w"], {})], normal(64, 64).astype(np.float64), "double"),
    "small": ([("MatMul", ["x", "w"], {})], normal(64, 2), "no smaller"),
    "other reader": ([("MatMul", ["x", "w"], {}), ("Relu", ["w"], {})], normal(64, 64), "Relu"),
    "convolution": ([("Conv", ["x", "w"], {})], normal(64, 64, 1), "read by Conv"),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_is_kept_is_listed_with_the_reason(case):
    parts, weight, reason = KEPT[case]
    nodes = [
        helper.make_node(kind, names, [f"y{i}"], **attributes) for i, (kind, names, attributes) in enumerate(parts)
    ]
    kind = TensorProto.DOUBLE if weight.dtype == np.float64 else TensorProto.FLOAT
    shape = ["b", 64, "c"] if case == "convolution" else [64, 64]
    model = graph(nodes, [("x", kind, shape)], [(node.output[0], kind) for node in nodes], {"w": weight})
    result = quantize(model, "w4g32")
    assert edgeq_nodes(model) == []
    assert "com.edgeq" not in model.graph.opset_imports
    (kept,) = result.kept
    assert (kept.name, kept.shape) == ("w", weight.shape)
    assert reason in kept.reason


def test_position_tables_and_overridable_weights_are_kept():
    nodes = [
        helper.make_node("Gather", ["positions", "position_ids"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    inputs = [("position_ids", TensorProto.INT64, ["s"]), ("w", TensorProto.FLOAT, [64, 64])]
    initializers = {"positions": normal(128, 64), "w": normal(64, 64)}
    result = quantize(graph(nodes, inputs, [("y", TensorProto.FLOAT)], initializers), "w4g32")
    reasons = {kept.name: kept.reason for kept in result.kept}
    assert "positions" in reasons["positions"]
    assert "override" in reasons["w"]


def layered():
    names = ["/model/layers.0/mlp/up_proj/MatMul", "/model/layers.0/mlp/down_proj/MatMul"]
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["h"], name=names[0]),
        helper.make_node("MatMul", ["h", "onnx::MatMul_8"], ["y"], name=names[1]),
    ]
    initializers = {"onnx::MatMul_7": normal(64, 96), "onnx::MatMul_8": normal(96, 64)}
    return graph(nodes, [("x", TensorProto.FLOAT, [1, 64])], [("y", TensorProto.FLOAT)], initializers)


def test_layers_are_named_after_their_modules():
    result = quantize_model(
        layered(), Plan.build(Scheme.parse("w4g32"), layers={"down_proj": "w8"}, skip=["*.up_proj"])
    )
    schemes = {record.name: record.scheme for record in result.records}
    assert schemes == {"model.layers.0.mlp.up_proj": "fp32", "model.layers.0.mlp.down_proj": "w8"}
    assert [kept.reason for kept in result.kept] == ["the plan keeps it"]


def test_progress_and_determinism():
    steps, models = [], []
    original = ir.to_proto(layered())
    for _ in range(2):
        model = ir.from_proto(original)
        quantize_model(model, Plan(Scheme.parse("w4g32")), lambda *step: steps.append(step))
        models.append(ir.to_proto(model).SerializeToString(deterministic=True))
    assert models[0] == models[1]
    assert steps[:3] == [("quantize", 0, 2), ("quantize", 1, 2), ("quantize", 2, 2)]


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(EdgeqError, match="q_proj"):
        quantize_model(layered(), Plan.build(Scheme.parse("w4g32"), skip=["q_proj"]))


def test_a_weight_that_is_not_finite_is_refused_by_name():
    model = layered()
    broken = normal(96, 64)
    broken[3, 5] = np.nan
    model.graph.initializers["onnx::MatMul_8"].const_value = ir.tensor(broken)
    with pytest.raises(EdgeqError, match=r"model\.layers\.0\.mlp\.down_proj.*not finite.*--skip"):
        quantize(model, "w4g32")


@pytest.mark.parametrize(("versions", "field"), [({"opset": 9}, "opset"), ({"ir_version": 3}, "ir_version")])
def test_old_versions_are_refused(versions, field):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    inputs = [("x", TensorProto.FLOAT, [1, 64])]
    model = graph(nodes, inputs, [("y", TensorProto.FLOAT)], {"w": normal(64, 64)}, **versions)
    with pytest.raises(EdgeqError, match=f"{field}.*too old"):
        quantize(model, "w4g32")
