# SPDX-License-Identifier: Apache-2.0
"""Stock operators: the same decoded weights, results within the error of int8 activations, and early refusals."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeq_ops
from edgeq.bundle.manifest import LayerRecord
from edgeq.errors import EdgeqError
from edgeq.formats import UniformFormat, UniformTensor
from edgeq.quantization.operators import gather_operator, matmul_operator
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme
from edgeq_export.matmul_nbits import BlockLayout, lazy_tensors
from edgeq_export.portable import check_plan, check_portable, make_portable, nearest_portable, portable_record

FLOAT_TOLERANCE = 1e-5
INT8_TOLERANCE = 2e-2  # of the largest output; both sides quantize activations per block, in blocks of different sizes


def random_weight(rng, fmt, rows, columns):
    """Codes of full range; scales of both signs, as symmetric weights have them."""
    groups = -(-columns // fmt.group_size)
    codes = rng.integers(0, 2**fmt.bits, (rows, columns), dtype=np.uint8)
    scales = rng.standard_normal((rows, groups)).astype(np.float16)
    zeros = None if fmt.symmetric else rng.integers(0, 2**fmt.bits, (rows, groups), dtype=np.uint8)
    return UniformTensor(codes, scales, zeros)


def value(name, dtype, shape):
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))


def tied_model(fmt, packed, rows, columns, activation_bits=None, bias=None):
    """ids to rows, and x to x Wᵀ (+ bias), both from one packed matrix."""
    ids, x = value("ids", ir.DataType.INT64, ["s"]), value("x", ir.DataType.FLOAT, ["b", columns])
    weight = ir.val("embed.weight.data", const_value=ir.tensor(packed))
    initializers = [weight]
    inputs = [x, weight]
    if bias is not None:
        initializers.append(ir.val("bias", const_value=ir.tensor(bias)))
        inputs.append(initializers[-1])
    kind, attributes = gather_operator(fmt, rows, columns)
    gather = ir.node(kind, [ids, weight], attributes, domain="com.edgeq", name="embed")
    kind, attributes = matmul_operator(fmt, rows, columns, activation_bits)
    matmul = ir.node(kind, inputs, attributes, domain="com.edgeq", name="head")
    for node, name in ((gather, "rows"), (matmul, "y")):
        node.outputs[0].name = name
        node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(
        [ids, x],
        [gather.outputs[0], matmul.outputs[0]],
        nodes=[gather, matmul],
        initializers=initializers,
        opset_imports={"": 20, "com.edgeq": 1},
        name="tied",
    )
    return ir.Model(graph, ir_version=10)


def run(model, feeds, *, operators=False):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    if operators:
        edgeq_ops.register(options)
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def relative_error(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@st.composite
def cases(draw):
    group_size = draw(st.sampled_from([32, 64, 128, 256]))
    fmt = UniformFormat(draw(st.sampled_from([2, 4, 8])), group_size, symmetric=draw(st.booleans()))
    return fmt, draw(st.integers(1, 70)), draw(st.integers(1, 300)), draw(st.booleans())


@settings(max_examples=40, deadline=None)
@given(case=cases(), seed=st.integers(0, 2**32 - 1))
def test_stock_operators_see_the_same_weights(case, seed):
    fmt, rows, columns, has_bias = case
    rng = np.random.default_rng(seed)
    tensor = random_weight(rng, fmt, rows, columns)
    bias = rng.standard_normal(rows).astype(np.float32) if has_bias else None
    model = tied_model(fmt, fmt.pack(tensor), rows, columns, bias=bias)
    feeds = {
        "ids": rng.integers(0, rows, 5),
        "x": rng.standard_normal((3, columns)).astype(np.float32),
    }
    own = run(model, feeds, operators=True)
    make_portable(model)
    assert {node.domain for node in model.graph} <= {"com.microsoft", ""}
    assert "com.edgeq" not in model.graph.opset_imports
    stock = run(model, feeds)

    decoded = fmt.decode(tensor)
    np.testing.assert_array_equal(stock[0], decoded[feeds["ids"]])
    np.testing.assert_array_equal(own[0], stock[0])
    # Relative to the sum of magnitudes, as an output may cancel to nothing; codes and zero points cancel in float32.
    magnitudes = np.abs(feeds["x"]).astype(np.float64)
    size = (magnitudes @ np.abs(decoded).T).max()
    slack = FLOAT_TOLERANCE * magnitudes.sum(1).max() * 2**fmt.bits * np.abs(tensor.scales).max()
    assert np.abs(stock[1] - own[1]).max() <= INT8_TOLERANCE * size + slack


@pytest.mark.parametrize("columns", [256, 200])
def test_float_activations_are_exact(columns):
    rng = np.random.default_rng(1)
    fmt = UniformFormat(4, 64)
    tensor = random_weight(rng, fmt, 48, columns)
    model = tied_model(fmt, fmt.pack(tensor), 48, columns, activation_bits=32)
    make_portable(model)
    x = rng.standard_normal((4, columns)).astype(np.float32)
    found = run(model, {"ids": np.array([0]), "x": x})[1]
    assert relative_error(found, x @ fmt.decode(tensor).T.astype(np.float64)) <= FLOAT_TOLERANCE


def test_accuracy_levels_follow_the_activations():
    fmt = UniformFormat(4, 32)
    packed = fmt.pack(random_weight(np.random.default_rng(2), fmt, 32, 32))
    levels = {}
    for bits in (None, 8, 32):
        model = tied_model(fmt, packed, 32, 32, activation_bits=bits)
        make_portable(model)
        matmul = next(node for node in model.graph if node.op_type == "MatMulNBits")
        levels[bits] = matmul.attributes["accuracy_level"].as_int()
    assert levels == {None: 4, 8: 4, 32: 1}


def test_a_tied_weight_stays_one_tensor_and_is_converted_when_written():
    fmt = UniformFormat(4, 32, symmetric=False)
    tensor = random_weight(np.random.default_rng(3), fmt, 64, 96)
    model = tied_model(fmt, fmt.pack(tensor), 64, 96)
    make_portable(model)
    names = ["embed.weight.codes", "embed.weight.scales", "embed.weight.zero_points"]
    initializers = model.graph.initializers
    assert [name for name in initializers if name.startswith("embed")] == names
    assert all(isinstance(initializers[name].const_value, ir.LazyTensor) for name in names)
    record = LayerRecord(
        name="embed", operators=["QuantGather", "DintGemm"], scheme="w4g32-asym", rows=64, columns=96, size=1
    )
    portable = portable_record(record)
    assert portable.operators == ["GatherBlockQuantized", "MatMulNBits"]
    assert portable.size == sum(initializers[name].const_value.nbytes for name in names)


def test_lazy_tensors_have_the_declared_shapes():
    fmt = UniformFormat(2, 64, symmetric=False)
    layout = BlockLayout(fmt, 7, 100)
    packed = ir.tensor(fmt.pack(random_weight(np.random.default_rng(4), fmt, 7, 100)))
    for tensor in lazy_tensors(packed, layout, "w"):
        array = tensor.numpy()
        assert array.shape == tuple(tensor.shape.numpy())
        assert array.nbytes == tensor.nbytes


@pytest.mark.parametrize(
    ("scheme", "nearest"),
    [
        ("w3g128", "w4g128"),
        ("w4", "w4g128"),
        ("w8g96-asym", "w8g64-asym"),
        ("w4g512", "w4g256"),
        ("w3g64-bcq", "w4g64-asym"),
        ("w2g64-bcq", "w2g64-asym"),
        ("w2a32g64", "w2g64"),
        ("w8a32g64", "w8g64"),
        ("w3a32g64", "w4a32g64"),
        ("w3a16g64", "w4a32g64"),
        ("w8a16g64", "w8g64"),
        ("w4a8g128-dint", "w4a8g128"),
        ("w4a8-dint-asym", "w4a8g128-asym"),
        ("w3g64-dint0.25", "w4g64"),
        ("w4g64-auto", "w4g64"),
        ("w4a8tg64-auto-asym", "w4a8g64-asym"),
        ("w3g64-codebook", "w4g64-asym"),
    ],
)
def test_schemes_without_a_stock_operator_are_refused_with_the_nearest(scheme, nearest):
    assert str(nearest_portable(Scheme.parse(scheme))) == nearest
    with pytest.raises(EdgeqError, match=f"--portable.*{scheme}.*{nearest}"):
        check_portable(Scheme.parse(scheme))
    check_portable(Scheme.parse(nearest))


@pytest.mark.parametrize("scheme", ["w2g32", "w4g256-asym", "w8g64", "w4a32g128", "w4a8g128", "fp32"])
def test_schemes_with_a_stock_operator(scheme):
    check_portable(Scheme.parse(scheme))


def test_overrides_are_checked_too():
    with pytest.raises(EdgeqError, match=r"lm_head.*w3"):
        check_plan(Plan.build(Scheme.parse("w4g128"), layers={"lm_head": "w3"}))
    with pytest.raises(EdgeqError, match=r"embedding.*w8a32g128.*w8g128"):
        check_plan(Plan(Scheme.parse("w4a32g128"), vocabulary=Scheme.parse("w8a32g128")))


def test_a_graph_with_an_operator_without_counterpart_is_left_untouched():
    fmt = UniformFormat(3, 32)
    packed = fmt.pack(random_weight(np.random.default_rng(5), fmt, 32, 32))
    model = tied_model(fmt, packed, 32, 32)
    with pytest.raises(EdgeqError, match="w4g32"):
        make_portable(model)
    assert [node.op_type for node in model.graph] == ["QuantGather", "DintGemm"]
