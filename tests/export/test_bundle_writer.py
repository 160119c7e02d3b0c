# SPDX-License-Identifier: Apache-2.0
"""The bundle writer on a graph made by hand: layout of the data file, records, operator libraries, failures."""

from __future__ import annotations

import resource
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from edgeq.bundle.integrity import sha256_of
from edgeq.bundle.manifest import LayerRecord, Source, read_manifest
from edgeq.errors import EdgeqError
from edgeq_export.bundle_writer import BundleContents, write_bundle

PAGE = 4096
WIDTH = 48  # 48·48·4 bytes are more than two pages and no multiple of one


def matrices() -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, WIDTH, WIDTH), dtype=np.float32)
    return {"a": first, "same_as_a": first.copy(), "b": second, "small": rng.standard_normal(WIDTH, dtype=np.float32)}


def graph() -> ir.Model:
    """((x·a)·a)·b + small, with stack traces and paths such as exporters leave."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["xa"], doc_string="/home/someone/model.py:3"),
        helper.make_node("MatMul", ["xa", "same_as_a"], ["xaa"]),
        helper.make_node("MatMul", ["xaa", "b"], ["xaab"]),
        helper.make_node("Add", ["xaab", "small"], ["y"]),
    ]
    shape: list[str | int | None] = ["n", WIDTH]
    made = helper.make_graph(
        nodes,
        "made at 12:34",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in matrices().items()],
        doc_string="/home/someone",
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 23)], ir_version=10, producer_name="pytorch")
    helper.set_model_props(model, {"host": "someone's"})
    return ir.from_proto(model)


def contents(**changes: Any) -> BundleContents:
    record = LayerRecord(name="a", operators=["MatMul"], scheme="fp32", rows=WIDTH, columns=WIDTH, size=4 * WIDTH**2)
    source = Source(name="org/name", architecture="Made", parameters=7, fingerprint="f")
    fields: dict[str, Any] = {"documents": {"config.json": b"{}\n"}} | changes
    return BundleContents("graph", graph(), "fp32", "rtn (mse)", source, [record], **fields)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(contents(), tmp_path / "out")
    return tmp_path / "out"


def external(bundle: Path) -> dict[str, dict[str, str]]:
    model = onnx.load(bundle / "model.onnx", load_external_data=False)
    return {
        tensor.name: {entry.key: entry.value for entry in tensor.external_data}
        for tensor in model.graph.initializer
        if tensor.data_location == TensorProto.EXTERNAL
    }


def test_the_model_computes_the_same(bundle: Path) -> None:
    x = np.random.default_rng(1).standard_normal((3, WIDTH), dtype=np.float32)
    parts = matrices()
    found = ort.InferenceSession(bundle / "model.onnx").run(None, {"x": x})[0]
    wanted = x @ parts["a"] @ parts["a"] @ parts["b"] + parts["small"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)


def test_tensors_of_a_page_lie_at_pages(bundle: Path) -> None:
    placed = external(bundle)
    assert placed  # the small one stays in the model file
    assert "small" not in placed
    for entry in placed.values():
        assert entry["location"] == "model.onnx.data"
        assert int(entry["offset"]) % PAGE == 0
    end = max(int(entry["offset"]) + int(entry["length"]) for entry in placed.values())
    assert (bundle / "model.onnx.data").stat().st_size == end


def test_equal_tensors_are_stored_once(bundle: Path) -> None:
    assert set(external(bundle)) == {"a", "b"}
    assert (bundle / "model.onnx.data").stat().st_size == 3 * PAGE + 4 * WIDTH**2


def test_nothing_of_the_exporting_machine_is_left(bundle: Path) -> None:
    data = (bundle / "model.onnx").read_bytes()
    assert b"someone" not in data
    assert b"pytorch" not in data


def test_every_file_is_recorded(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    present = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert set(manifest.files) == present - {"edgeq.json"}
    for name, record in manifest.files.items():
        assert record.size == (bundle / name).stat().st_size
        assert record.sha256 == sha256_of(bundle / name)


def test_the_same_contents_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    write_bundle(contents(), tmp_path / "again")
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(bundle)).read_bytes(), path.name


def test_the_card_has_front_matter(bundle: Path) -> None:
    _, front, body = (bundle / "README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["base_model"] == "org/name"
    assert "onnx" in fields["tags"]
    assert "| fp32 | 1 | 2,304 |" in body


def test_copies_and_documents_take_their_places(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("tokens")
    manifest = write_bundle(contents(copies={"deep/tokenizer.json": tmp_path / "tokenizer.json"}), tmp_path / "out")
    assert (tmp_path / "out/deep/tokenizer.json").read_text() == "tokens"
    assert {"deep/tokenizer.json", "config.json"} <= set(manifest.files)


def test_refuses_to_replace_its_own_source(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("tokens")
    changed = contents(copies={"tokenizer.json": tmp_path / "tokenizer.json"})
    with pytest.raises(EdgeqError, match="would replace its own source"):
        write_bundle(changed, tmp_path, force=True)
    assert (tmp_path / "tokenizer.json").read_text() == "tokens"


def test_libraries_come_along_only_where_they_are_needed(tmp_path: Path) -> None:
    library = tmp_path / "built.so"
    library.write_bytes(b"\x7fELF")
    libraries = {"linux-aarch64": library, "linux-x86_64": library}
    plain = write_bundle(contents(libraries=libraries), tmp_path / "plain")
    assert plain.operators.libraries == {}
    needing = contents(libraries=libraries)
    needing.model.graph.node(0).domain = "com.edgeq"
    manifest = write_bundle(needing, tmp_path / "needing")
    assert manifest.operators.libraries == {name: f"lib/{name}/libedgeq_ops.so" for name in libraries}
    assert (tmp_path / "needing/lib/linux-aarch64/libedgeq_ops.so").read_bytes() == b"\x7fELF"


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bundle(contents(), tmp_path / "out", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_grow_leaves_nothing(tmp_path: Path) -> None:
    # A limit on file sizes fails the same system calls as a full disk, and needs no file system of its own.
    code = f"""
        import resource, signal, sys
        sys.path[:0] = {sys.path!r}
        from pathlib import Path
        from edgeq.errors import EdgeqError
        from tests.export.test_bundle_writer import contents
        from edgeq_export.bundle_writer import write_bundle
        made = contents()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, {resource.RLIM_INFINITY}))
        try:
            write_bundle(made, Path(sys.argv[1]))
        except EdgeqError as error:
            print(error)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path / "out"], capture_output=True, text=True, check=True
    )
    assert "File too large" in result.stdout
    assert list(tmp_path.iterdir()) == []
