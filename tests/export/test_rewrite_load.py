# SPDX-License-Identifier: Apache-2.0
"""Untrusted ONNX files: what is refused, with a message that says what and where."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeq.errors import EdgeqError
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme
from edgeq_export.rewrite import export_onnx_file, load_onnx, plan_onnx_file

PLAN = Plan(Scheme.parse("w4g32"))


def save(path, *, opset=20, ir_version=10, location="model.data", external=True):
    """A MatMul of 64 × 64, its weight in ``model.data`` beside the file."""
    weight = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="/head/MatMul")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 64])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    if external:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", str(weight.nbytes))):
            tensor.external_data.add(key=key, value=value)
        (path.parent / "model.data").write_bytes(weight.tobytes())
    onnx.save(model, path)
    return path


@pytest.fixture
def path(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "model.onnx"


def refused(path, message):
    with pytest.raises(EdgeqError, match=message):
        load_onnx(path)


def test_external_data_is_mapped_not_read(path):
    model = load_onnx(save(path))
    tensor = model.graph.initializers["w"].const_value
    assert tensor.raw is None  # not even opened
    np.testing.assert_array_equal(tensor.numpy().reshape(-1), np.arange(64 * 64))


def test_a_relative_path_is_confined_too(path, monkeypatch):
    save(path, location="../model.data")
    monkeypatch.chdir(path.parent)
    from pathlib import Path

    refused(Path("model.onnx"), "outside")


def test_missing_file(path):
    refused(path, "no such model")


@pytest.mark.parametrize("content", [b"", b"hello, this is no protobuf at all", bytes(range(256)) * 8])
def test_not_an_onnx_file(path, content):
    path.write_bytes(content)
    refused(path, "not .*ONNX model")


def test_truncated_model(path):
    save(path, external=False)
    path.write_bytes(path.read_bytes()[:5000])
    refused(path, "not a readable ONNX model")


def test_truncated_external_data(path):
    save(path)
    os.truncate(path.parent / "model.data", 64 * 64 * 4 - 1)
    refused(path, "truncated external data.*16383 bytes.*16384 bytes")


def test_missing_external_data(path):
    save(path)
    (path.parent / "model.data").unlink()
    refused(path, "missing external data.*model.data")


@pytest.mark.parametrize(
    "location", ["../model.data", "/etc/hostname", "a/../../model.data", "..\\model.data", "C:\\w", ""]
)
def test_external_data_elsewhere(path, location):
    (path.parent.parent / "model.data").write_bytes(bytes(64 * 64 * 4))
    refused(save(path, location=location), "outside the model's directory")


def test_a_link_to_elsewhere(path):
    save(path)
    data = path.parent / "model.data"
    data.rename(path.parent.parent / "secret")
    data.symlink_to(path.parent.parent / "secret")
    refused(path, "link to outside")


def test_a_link_within_the_directory(path):
    save(path)
    (path.parent / "model.data").rename(path.parent / "other")
    (path.parent / "model.data").symlink_to("other")
    assert load_onnx(path).graph.initializers["w"].const_value.numpy()[0, 1] == 1


def test_a_hard_link(path):
    save(path)
    os.link(path.parent / "model.data", path.parent.parent / "second")
    refused(path, "hard links")


def test_a_wrong_length(path):
    save(path)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[2].value = "16380"
    onnx.save(model, path)
    refused(path, "wrong length of external data.*16380.*16384")


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"ir_version": 3}, "ir_version.*too old.*3"),
        ({"ir_version": onnx.IR_VERSION + 1}, "ir_version.*too new"),
        ({"opset": 11}, "opset_import.*too old.*11"),
        ({"opset": onnx.defs.onnx_opset_version() + 1}, "opset_import.*too new"),
    ],
)
def test_versions(path, versions, message):
    refused(save(path, **versions), message)


def test_export_writes_a_graph_bundle(path, tmp_path, caplog):
    manifest = export_onnx_file(save(path), PLAN, tmp_path / "out")
    assert (manifest.kind, [layer.name for layer in manifest.layers]) == ("graph", ["w"])
    assert manifest.source.parameters == 64 * 64
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "out"]
    assert not caplog.records
    assert plan_onnx_file(path, PLAN).records == manifest.layers


def test_export_refuses_to_replace_its_source(path):
    with pytest.raises(EdgeqError, match="its own source"):
        export_onnx_file(save(path), PLAN, path.parent, force=True)


def test_export_refuses_a_full_directory_before_reading(path, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    with pytest.raises(EdgeqError, match="not empty"):
        export_onnx_file(path, PLAN, tmp_path / "out")


def test_export_refuses_schemes_without_stock_operator_before_reading(path, tmp_path):
    with pytest.raises(EdgeqError, match="w4g128"):
        export_onnx_file(path, Plan(Scheme.parse("w3g128")), tmp_path / "out", portable=True)


def test_export_refuses_a_model_without_matrices(path, tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((8, 8, 3), np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    with pytest.raises(EdgeqError, match=r"nothing to quantize.*read by Conv"):
        export_onnx_file(path, PLAN, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_stays_in_float_is_logged(path, tmp_path, caplog):
    save(path)
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 64, 64), np.float32), "stack"))
    model.graph.node.append(helper.make_node("MatMul", ["x", "stack"], ["z"]))
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    onnx.save(model, path)
    export_onnx_file(path, PLAN, tmp_path / "out")
    assert [record.getMessage() for record in caplog.records] == ["kept in float: stack (it has 3 dimensions, not 2)"]
