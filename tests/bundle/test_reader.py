# SPDX-License-Identifier: Apache-2.0
"""A damaged or hostile bundle is refused with an error that says what is wrong where."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeq.bundle.manifest import read_manifest
from edgeq.bundle.reader import open_bundle
from edgeq.errors import EdgeqError
from tests.tiny_decoder import TinyDecoder, write_records

MACHINES = {"x86_64": 62, "aarch64": 183}


@pytest.fixture
def bundle(tiny_decoder: TinyDecoder, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tiny_decoder.directory, tmp_path / "bundle"))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def add_library(bundle: Path, machine: str, platform: str = "linux-x86_64") -> Path:
    """An ELF header for ``machine``, recorded as the operator library of ``platform``."""
    path = bundle / "lib" / platform / "libedgeq_ops.so"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, MACHINES[machine]) + bytes(44))
    operators = {"domain": "com.edgeq", "version": 1, "libraries": {platform: f"lib/{platform}/libedgeq_ops.so"}}
    write_records(bundle, operators=operators)
    return path


def refused(bundle: Path, verify: bool = True) -> str:
    with pytest.raises(EdgeqError) as caught:
        open_bundle(bundle, verify)
    return str(caught.value)


def test_a_whole_bundle_opens(bundle: Path) -> None:
    opened = open_bundle(bundle)
    assert opened.kind == "decoder"
    assert opened.model_path == bundle / "model.onnx"
    assert opened.genai is not None
    assert opened.genai.model.decoder.num_key_value_heads == 2
    assert opened.genai.model.eos_token_id == [1]
    assert opened.file("tokenizer.json") == bundle / "tokenizer.json"
    assert opened.file("nothing.json") is None
    assert opened.size == sum(p.stat().st_size for p in bundle.iterdir() if p.name != "edgeq.json")
    assert not opened.needs_operators


def test_no_bundle(tmp_path: Path) -> None:
    assert "no such bundle" in refused(tmp_path / "nowhere")
    assert "not a bundle, found no edgeq.json" in refused(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_missing_truncated_and_longer_files(bundle: Path, name: str) -> None:
    whole = (bundle / name).read_bytes()
    (bundle / name).write_bytes(whole[:-1])
    error = refused(bundle, verify=False)
    assert f"{name}: truncated file, found {len(whole) - 1} bytes, wanted {len(whole)} bytes" in error
    assert "edgeq export MODEL -o OUT" in error
    (bundle / name).write_bytes(whole + b"\n")
    assert "changed file" in refused(bundle, verify=False)
    (bundle / name).unlink()
    assert "missing file" in refused(bundle, verify=False)


def test_a_changed_byte_is_found_by_its_hash(bundle: Path) -> None:
    data = bytearray((bundle / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / "model.onnx").write_bytes(data)
    assert "model.onnx: sha256: changed file" in refused(bundle)
    open_bundle(bundle, verify=False)


def test_operator_library_of_another_architecture(bundle: Path) -> None:
    add_library(bundle, "aarch64")
    assert "operator library of another architecture, found aarch64, wanted x86_64" in refused(bundle, verify=False)


def test_operator_library_that_is_missing_or_no_library(bundle: Path) -> None:
    library = add_library(bundle, "x86_64")
    assert open_bundle(bundle).needs_operators
    library.write_bytes(b"#!/bin/sh\n" + bytes(54))
    assert "not a shared library" in refused(bundle, verify=False)
    library.unlink()
    assert "libedgeq_ops.so: missing file" in refused(bundle)


def test_a_bundle_for_another_platform_opens(bundle: Path) -> None:
    add_library(bundle, "aarch64", "linux-aarch64")
    assert open_bundle(bundle).manifest.operators.libraries == {"linux-aarch64": "lib/linux-aarch64/libedgeq_ops.so"}


UNSAFE = ["../secret", "/etc/passwd", "a/../../secret", "C:\\secret", "..\\secret", "", "."]


@pytest.mark.parametrize("name", UNSAFE)
def test_paths_stay_inside(bundle: Path, name: str) -> None:
    record = {"size": 0, "sha256": "0" * 64}
    edit(bundle / "edgeq.json", lambda value: value["files"].update({name: record}))
    assert "files: unsafe path" in refused(bundle, verify=False)


@pytest.mark.parametrize("name", UNSAFE)
def test_the_model_stays_inside(bundle: Path, name: str) -> None:
    edit(bundle / "edgeq.json", lambda value: value.update(model=name))
    assert "model: unsafe path" in refused(bundle, verify=False)


@pytest.mark.parametrize("name", ["model.onnx", "genai_config.json", "tokenizer_config.json"])
def test_symbolic_links_out_are_refused(bundle: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (bundle / name).rename(outside)
    (bundle / name).symlink_to(outside)
    assert "unsafe path" in refused(bundle)


def test_a_linked_parent_is_refused(bundle: Path, tmp_path: Path) -> None:
    add_library(bundle, "x86_64")
    (bundle / "lib").rename(tmp_path / "lib")
    (bundle / "lib").symlink_to(tmp_path / "lib")
    assert "unsafe path" in refused(bundle)


def test_symbolic_links_inside_are_allowed(bundle: Path) -> None:
    (bundle / "model.onnx").rename(bundle / "blob")
    (bundle / "model.onnx").symlink_to("blob")
    open_bundle(bundle)


def test_files_without_a_record_are_refused(bundle: Path) -> None:
    edit(bundle / "edgeq.json", lambda value: value["files"].pop("model.onnx"))
    assert "edgeq.json: model: file without a record, found model.onnx" in refused(bundle)
    write_records(bundle)
    edit(bundle / "edgeq.json", lambda value: value["files"].pop("genai_config.json"))
    assert "found genai_config.json" in refused(bundle)


def decoder(value: dict[str, Any]) -> dict[str, Any]:
    return value["model"]["decoder"]  # type: ignore[no-any-return]


WRONG_FIELDS = [
    (lambda v: decoder(v).update(head_size="8"), "model.decoder.head_size"),
    (lambda v: decoder(v).update(head_size=True), "model.decoder.head_size"),
    (lambda v: decoder(v).update(num_hidden_layers=0), "model.decoder.num_hidden_layers"),
    (lambda v: decoder(v).update(num_key_value_heads=3), "num_attention_heads is not a multiple"),
    (lambda v: decoder(v).pop("num_key_value_heads"), "model.decoder.num_key_value_heads"),
    (lambda v: decoder(v)["inputs"].update(past_key_names="past"), "model.decoder.inputs.past_key_names"),
    (lambda v: decoder(v)["outputs"].update(present_key_names="%d.%s"), "model.decoder.outputs.present_key_names"),
    (lambda v: decoder(v).update(filename="other.onnx"), "model.decoder.filename: another model file"),
    (lambda v: v["model"].update(vocab_size=-1), "model.vocab_size"),
    (lambda v: v["model"].update(eos_token_id=[1, "2"]), "model.eos_token_id.1"),
    (lambda v: v["search"].update(top_p=2), "search.top_p"),
    (lambda v: v.pop("model"), "model"),
]


@pytest.mark.parametrize(("change", "named"), WRONG_FIELDS)
def test_wrong_fields_of_the_configuration_are_named(bundle: Path, change: Callable[..., object], named: str) -> None:
    edit(bundle / "genai_config.json", change)
    error = refused(bundle)
    assert "genai_config.json: " in error
    assert named in error


def test_a_configuration_that_is_no_json(bundle: Path) -> None:
    (bundle / "genai_config.json").write_text("{")
    assert "genai_config.json: JSON: Invalid JSON" in refused(bundle)
    (bundle / "genai_config.json").unlink()
    assert "genai_config.json: missing file" in refused(bundle)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda v: v.update(kind="diffuser"), "kind"),
        (lambda v: v.update(surprise=1), "surprise"),
        (lambda v: v["files"]["model.onnx"].update(size=-1), "files.model.onnx.size"),
        (lambda v: v["files"]["model.onnx"].update(sha256="0"), "files.model.onnx.sha256"),
        (lambda v: v["operators"].update(version=2), "operators.version"),
    ],
)
def test_wrong_fields_of_the_manifest_are_named(bundle: Path, change: Callable[..., object], field: str) -> None:
    edit(bundle / "edgeq.json", change)
    assert f"edgeq.json: {field}: " in refused(bundle)


def test_unknown_fields_of_the_configuration_are_left_alone(bundle: Path) -> None:
    edit(bundle / "genai_config.json", lambda value: value["search"].update(num_beams=1))
    write_records(bundle)
    assert open_bundle(bundle).manifest == read_manifest(bundle)
