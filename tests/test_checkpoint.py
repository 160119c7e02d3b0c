# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edgeq.checkpoint import Checkpoint, resolve_model
from edgeq.errors import EdgeqError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    save_file(
        {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16)},
        tmp_path / "model.safetensors",
    )
    return tmp_path


def test_tensors_are_read_by_name(directory: Path) -> None:
    checkpoint = Checkpoint(directory)
    assert sorted(checkpoint.files) == ["a", "b"]
    assert torch.equal(checkpoint.tensor("a"), torch.arange(6.0).reshape(2, 3))
    assert checkpoint.tensor("b").dtype == torch.bfloat16


def test_sharded_checkpoints(directory: Path) -> None:
    save_file({"c": torch.ones(1)}, directory / "two.safetensors")
    weight_map = {"a": "model.safetensors", "b": "model.safetensors", "c": "two.safetensors"}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert sorted(Checkpoint(directory).files) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/secret.safetensors", "sub/secret.safetensors"])
def test_shards_outside_the_directory_are_refused(directory: Path, name: str) -> None:
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(EdgeqError, match="file outside the checkpoint"):
        Checkpoint(directory)


def test_a_missing_shard_is_named(directory: Path) -> None:
    for damaged in ({}, {"weight_map": 3}, {"weight_map": {"a": None}}):
        (directory / "model.safetensors.index.json").write_text(json.dumps(damaged))
        with pytest.raises(EdgeqError, match=r"index\.json: weight_map: damaged index of weight files"):
            Checkpoint(directory)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "three.safetensors"}}))
    with pytest.raises(EdgeqError, match=r"three\.safetensors: missing weight file"):
        Checkpoint(directory)


@pytest.mark.parametrize("size", [0, 4, 30, -1])
def test_truncated_files_are_refused(directory: Path, size: int) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(EdgeqError, match="truncated safetensors file"):
        Checkpoint(directory)


def test_damaged_headers_are_refused(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", 5) + b"{nono")
    with pytest.raises(EdgeqError, match="damaged safetensors header"):
        Checkpoint(directory)


def test_pickle_checkpoints_are_refused(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(
        EdgeqError, match=r"no safetensors weights \(pickle files can run code.*found pytorch_model.bin"
    ):
        Checkpoint(directory)


def test_a_directory_without_configuration_is_no_model(directory: Path) -> None:
    (directory / "config.json").unlink()
    with pytest.raises(EdgeqError, match=r"no such model, found no config\.json"):
        Checkpoint(directory)


def test_a_configuration_that_is_not_json_is_refused(directory: Path) -> None:
    (directory / "config.json").write_text("{")
    with pytest.raises(EdgeqError, match="cannot read JSON"):
        _ = Checkpoint(directory).config


def test_a_missing_tensor_is_named(directory: Path) -> None:
    with pytest.raises(EdgeqError, match="zzz: missing tensor"):
        Checkpoint(directory).tensor("zzz")


def test_fingerprint_follows_the_headers(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("copy") / "model"
    shutil.copytree(directory, copy)
    assert Checkpoint(copy).fingerprint == Checkpoint(directory).fingerprint
    save_file({"a": torch.zeros(2, 2)}, copy / "model.safetensors")
    assert Checkpoint(copy).fingerprint != Checkpoint(directory).fingerprint


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere", "a/b/c", "org/unknown-model"])
def test_unknown_models_are_refused(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EdgeqError, match="no such model"):
        resolve_model(model)
