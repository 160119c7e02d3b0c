# SPDX-License-Identifier: Apache-2.0
"""Compressed weights: bit for bit the results of raw ones, decoded at load or on use; damage is an error at load."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgeq.formats import BcqFormat, CodebookFormat, DintFormat, DintTensor, UniformFormat, UniformTensor
from edgeq.formats.compression import compress, read_header
from edgeq.quantization.operators import ROW_SUMS_INPUT, matmul_operator, row_sums
from edgeq.schemes import ActivationMode
from tests.custom_ops.graphs import (
    dint_gemm_attributes,
    gemm_model,
    one_node_model,
    open_session,
    random_bcq,
    random_codebook,
    random_uniform,
)
from tests.custom_ops.lut_reference import lut_gemm_attributes

Format = UniformFormat | DintFormat
MODES = ("load", "use")
W8, W4, DINT = UniformFormat(8), UniformFormat(4, 32, symmetric=False), DintFormat(4, 96)
CODED = [(W8, "rans"), (W8, "nibble"), (UniformFormat(8, 64, symmetric=False), "nibble"), (W4, "rans"), (DINT, "rans")]
COLUMNS = 200


@cache
def packed_weight(form: Format, rows: int, columns: int = COLUMNS) -> np.ndarray:
    """A packed matrix whose codes lie near the middle, as compression wants them."""
    tensor = random_uniform(UniformFormat(form.bits, form.group_size, form.symmetric), rows, columns)
    middle = 2 ** (form.bits - 1)
    codes = np.random.default_rng(rows).normal(middle, middle / 4 if form.bits == 4 else 3, (rows, columns))
    codes = np.clip(np.rint(codes), 0, 2 * middle - 1).astype(np.uint8)
    if isinstance(form, DintFormat):
        return form.pack(DintTensor(codes, tensor.scales, tensor.zero_points))
    return form.pack(UniformTensor(codes, tensor.scales, tensor.zero_points))


@cache
def coded_weight(form: Format, codec: str, rows: int, columns: int = COLUMNS) -> np.ndarray:
    """The same, compressed."""
    return compress(packed_weight(form, rows, columns), form, rows, columns, codec)


def multiply(
    packed: np.ndarray, attributes: dict[str, Any], x: np.ndarray, bias: np.ndarray | None = None
) -> np.ndarray:
    result: np.ndarray = open_session(gemm_model("DintGemm", packed, attributes, bias, 2), 2).run(None, {"X": x})[0]
    return result


@pytest.mark.parametrize(("form", "codec"), CODED, ids=str)
@pytest.mark.parametrize("activation_bits", [8, 32])
def test_products_are_those_of_raw_weights(isa: str, form: Format, codec: str, activation_bits: int) -> None:
    rows = 2100  # several blocks
    packed = packed_weight(form, rows)
    attributes = dint_gemm_attributes(form, rows, COLUMNS, activation_bits)
    data = coded_weight(form, codec, rows)
    assert read_header(data).blocks > 2
    for tokens in (1, 3, 40):
        x = np.random.default_rng(tokens).standard_normal((tokens, COLUMNS), np.float32)
        raw = multiply(packed, attributes, x)
        for mode in MODES:
            result = multiply(data, attributes | {"weight_compression": mode}, x)
            np.testing.assert_array_equal(result, raw, err_msg=mode)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 400),
    columns=st.integers(1, 500),
    tokens=st.integers(1, 9),
    coded=st.sampled_from(CODED),
    mode=st.sampled_from(MODES),
)
def test_any_shape(rows: int, columns: int, tokens: int, coded: tuple[Format, str], mode: str) -> None:
    form, codec = coded
    packed = packed_weight(form, rows, columns)
    attributes = dint_gemm_attributes(form, rows, columns, 8)
    x = np.random.default_rng(0).standard_normal((tokens, columns), np.float32)
    bias = np.arange(rows, dtype=np.float32)
    data = compress(packed, form, rows, columns, codec)
    result = multiply(data, attributes | {"weight_compression": mode}, x, bias)
    np.testing.assert_array_equal(result, multiply(packed, attributes, x, bias))


@pytest.mark.parametrize("quantization", ["token", "token-asym", "static"])
@pytest.mark.parametrize("codec", ["rans", "nibble"])
def test_activations_quantized_otherwise(isa: str, quantization: ActivationMode, codec: str) -> None:
    rows = 700
    packed = packed_weight(W8, rows)
    operator, attributes = matmul_operator(W8, rows, COLUMNS, 8, quantization)
    if quantization == "static":
        attributes["activation_scale"] = 0.03
    sums = {"row_sums": row_sums(W8, packed, rows, COLUMNS)} if quantization == "token-asym" else {}

    def run(data: np.ndarray, tokens: int, mode: str) -> np.ndarray:
        model = one_node_model(
            operator,
            {"X": ["tokens", COLUMNS]},
            {"W": data} | sums,
            attributes | {"weight_compression": mode},
            positions={"row_sums": ROW_SUMS_INPUT},
        )
        x = np.random.default_rng(0).normal(1, 1, (tokens, COLUMNS)).astype(np.float32)
        result: np.ndarray = open_session(model, 2).run(None, {"X": x})[0]
        return result

    for tokens in (1, 5):
        np.testing.assert_array_equal(run(coded_weight(W8, codec, rows), tokens, "use"), run(packed, tokens, ""))


def test_an_empty_attribute_means_raw_weights() -> None:
    packed, attributes = packed_weight(W8, 64), dint_gemm_attributes(W8, 64, COLUMNS, 8)
    x = np.ones((1, COLUMNS), np.float32)
    result = multiply(packed, attributes | {"weight_compression": ""}, x)
    np.testing.assert_array_equal(result, multiply(packed, attributes, x))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("codec", ["rans", "nibble"])
def test_fused_weights(mode: str, codec: str) -> None:
    rows = (700, 33, 1030)
    weights = [packed_weight(W8, n) for n in rows]
    coded = [compress(w, W8, n, COLUMNS, codec) for w, n in zip(weights, rows, strict=True)]
    attributes = dint_gemm_attributes(W8, rows[0], COLUMNS, 8) | {"N1": rows[1], "N2": rows[2]}
    names = ["X", "w0", "", "w1", "", "w2"]
    node = helper.make_node(
        "DintGemm", names, ["Y0", "Y1", "Y2"], name="qkv", domain="com.edgeq", weight_compression=mode, **attributes
    )
    outputs = [helper.make_tensor_value_info(f"Y{i}", TensorProto.FLOAT, None) for i in range(3)]
    x_info = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["tokens", COLUMNS])
    constants = [numpy_helper.from_array(data, f"w{i}") for i, data in enumerate(coded)]
    graph = helper.make_graph([node], "fused", [x_info], outputs, constants)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.edgeq", 1)]
    session = open_session(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString(), 2)
    for tokens in (1, 20):
        x = np.random.default_rng(tokens).standard_normal((tokens, COLUMNS), np.float32)
        for weight, n, result in zip(weights, rows, session.run(None, {"X": x}), strict=True):
            np.testing.assert_array_equal(result, multiply(weight, dint_gemm_attributes(W8, n, COLUMNS, 8), x))


def gather_attributes(form: Format, rows: int) -> dict[str, Any]:
    attributes = dint_gemm_attributes(form, rows, COLUMNS, 8)
    del attributes["activation_bits"]
    return attributes


@pytest.mark.parametrize(("form", "codec"), CODED, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_rows_of_an_embedding(isa: str, form: Format, codec: str, mode: str) -> None:
    rows = 1000
    packed, attributes = packed_weight(form, rows), gather_attributes(form, rows)
    coded = {"W": coded_weight(form, codec, rows)}
    indices = np.append(np.random.default_rng(0).integers(0, rows, 30), [rows - 1, 0, 0]).reshape(3, 11)
    raw = open_session(one_node_model("QuantGather", {"indices": ["a", "b"]}, {"W": packed}, attributes))
    model = one_node_model("QuantGather", {"indices": ["a", "b"]}, coded, attributes | {"weight_compression": mode})
    feed = {"indices": indices}
    np.testing.assert_array_equal(open_session(model, 2).run(None, feed)[0], raw.run(None, feed)[0])


def tied_model(packed: np.ndarray, rows: int, **change: str) -> bytes:
    """An embedding and a head with one weight."""
    gather = helper.make_node(
        "QuantGather",
        ["ids", "W"],
        ["X"],
        name="embedding",
        domain="com.edgeq",
        **gather_attributes(W8, rows),
        **change,
    )
    head = helper.make_node(
        "DintGemm",
        ["X", "W"],
        ["Y"],
        name="head",
        domain="com.edgeq",
        **dint_gemm_attributes(W8, rows, COLUMNS, 8),
        **change,
    )
    graph = helper.make_graph(
        [gather, head],
        "tied",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["tokens"])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(packed, "W")],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.edgeq", 1)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return model


@pytest.mark.parametrize("mode", MODES)
def test_an_embedding_and_a_head_with_one_weight(mode: str) -> None:
    rows = 900
    packed, ids = packed_weight(W8, rows), {"ids": np.array([5, 899, 0, 5])}
    raw = open_session(tied_model(packed, rows)).run(None, ids)[0]
    model = tied_model(compress(packed, W8, rows, COLUMNS, "rans"), rows, weight_compression=mode)
    first, second = open_session(model, 2), open_session(model, 2)
    np.testing.assert_array_equal(first.run(None, ids)[0], raw)
    del first
    np.testing.assert_array_equal(second.run(None, ids)[0], raw)


ROWS = 70
PACKED = packed_weight(W8, ROWS)
GOOD = dint_gemm_attributes(W8, ROWS, COLUMNS, 8) | {"weight_compression": "use"}


def refusal(data: np.ndarray, attributes: dict[str, Any]) -> str:
    with pytest.raises(Exception, match=r"com\.edgeq\.DintGemm node 'head': ") as caught:
        open_session(gemm_model("DintGemm", data, attributes, None, 2))
    return str(caught.value)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("codec", ["rans", "nibble"])
def test_damage_is_an_error_at_load(mode: str, codec: str) -> None:
    good, attributes = compress(PACKED, W8, ROWS, COLUMNS, codec), GOOD | {"weight_compression": mode}
    for position in [*range(0, 200, 7), *range(200, good.size - 64, 997)]:
        data = good.copy()
        data[position] ^= 4
        assert "input W: compressed weight, " in refusal(data, attributes), position
    for size in (0, 47, 60, good.size // 2, good.size - 1):
        assert "input W: compressed weight, bytes" in refusal(good[:size], attributes), size


def test_what_is_wrong_is_said() -> None:
    data = compress(PACKED, W8, ROWS, COLUMNS, "rans")
    assert "input W: compressed weight, magic number: found" in refusal(PACKED, GOOD)
    assert f"input W: found shape [{data.size}], wanted [{PACKED.size}]" in refusal(
        data, GOOD | {"weight_compression": ""}
    )
    assert "input W: compressed weight, bytes of the packed weight: found" in refusal(data, GOOD | {"N": 64})
    assert "input W: compressed weight, bits: found 8, wanted 4" in refusal(data, GOOD | {"bits": 4})
    wanted = "attribute weight_compression: found 'zip', wanted 'load', 'use' or ''"
    assert wanted in refusal(data, GOOD | {"weight_compression": "zip"})
    wanted = "attribute weight_compression: found 'use' for 3 bits, wanted 4 or 8 bits, or ''"
    assert wanted in refusal(data, GOOD | {"bits": 3})


def test_other_formats_are_not_compressed() -> None:
    form = CodebookFormat(4, 32)
    packed = form.pack(random_codebook(form, ROWS, COLUMNS))
    attributes = dint_gemm_attributes(form, ROWS, COLUMNS, 8) | {"weight_compression": "load"}
    assert "found 'load' for format codebook, wanted format uniform or dint" in refusal(packed, attributes)
    binary = BcqFormat(2, 32)
    weight = binary.pack(random_bcq(binary, ROWS, COLUMNS))
    model = gemm_model(
        "LutGemm", weight, lut_gemm_attributes(binary, ROWS, COLUMNS, 8) | {"weight_compression": "use"}, None, 2
    )
    with pytest.raises(Exception, match="node 'head': attribute weight_compression: found 'use' for format bcq"):
        open_session(model)
