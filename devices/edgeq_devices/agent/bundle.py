# SPDX-License-Identifier: Apache-2.0
"""A bundle read with the standard library alone, for measuring on a board that no host reaches."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeq.errors import EdgeqError
from edgeq_devices.agent.store import StoreError, inside
from edgeq_devices.job import DecoderGraph, Model

MANIFEST = "edgeq.json"
_LIMITS = (("sentence_bert_config.json", "max_seq_length"), ("config.json", "max_position_embeddings"))
_PLATFORMS = {"x86_64": "linux-x86_64", "aarch64": "linux-aarch64", "armv7l": "linux-armv7", "armv8l": "linux-armv7"}


def read_bundle(directory: Path, library: Path | None) -> tuple[Model, dict[str, Any]]:
    """What running a bundle needs, and the facts of :class:`edgeq_devices.results.ModelFacts`; hashes are compared.

    Args:
        directory: The bundle.
        library: Operators to load; by default those in the bundle for this machine.

    Raises:
        EdgeqError: It is no bundle, is damaged, cannot be profiled, or has no operators for this machine.
    """
    manifest = _read(directory / MANIFEST)
    try:
        _check_files(directory, manifest["files"])
        facts = _facts(directory, manifest)
        operators = _operators(directory, manifest, library)
        return _model(directory, manifest, facts, operators), facts
    except (KeyError, TypeError, ValueError, AttributeError, StoreError) as error:
        raise EdgeqError("wrong bundle", file=directory, found=repr(error)[:200]) from error


def decoder_graph(section: Mapping[str, Any]) -> DecoderGraph:
    """Names and shapes of a decoder's graph, from the section ``model`` of ``genai_config.json``."""
    decoder = section["decoder"]
    inputs, outputs = decoder["inputs"], decoder["outputs"]
    return DecoderGraph(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        position_ids=inputs.get("position_ids"),
        logits=outputs["logits"],
        past_key=inputs["past_key_names"],
        past_value=inputs["past_value_names"],
        present_key=outputs["present_key_names"],
        present_value=outputs["present_value_names"],
        layers=decoder["num_hidden_layers"],
        kv_heads=decoder["num_key_value_heads"],
        head_size=decoder["head_size"],
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise EdgeqError("cannot be read", file=path, found=error.strerror) from error
    except ValueError as error:
        raise EdgeqError("not JSON", file=path, found=str(error)) from error
    if not isinstance(content, dict):
        raise EdgeqError("not a JSON object", file=path)
    return content


def _check_files(directory: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    for name, record in files.items():
        path = directory / inside(name)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise EdgeqError("cannot be read", file=path, found=error.strerror) from error
        if found != record["sha256"]:
            raise EdgeqError("changed since the export", file=path, remedy="copy or export the bundle again")


def _facts(directory: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    layers, source = manifest["layers"], manifest["source"]
    weights = sum(layer["rows"] * layer["columns"] for layer in layers)
    return {
        "name": directory.resolve().name,
        "kind": manifest["kind"],
        "architecture": source["architecture"],
        "parameters": source["parameters"],
        "scheme": manifest["scheme"],
        "bits_per_weight": 8 * sum(layer["size"] for layer in layers) / weights if weights else 0.0,
        "size": sum(record["size"] for record in manifest["files"].values()),
        "context": None,
        "hash": hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest(),
    }


def _operators(directory: Path, manifest: Mapping[str, Any], library: Path | None) -> str | None:
    libraries = manifest["operators"]["libraries"]
    if not libraries:
        return None
    if library is None:
        machine = platform.machine()
        name = libraries.get(_PLATFORMS.get(machine, machine))
        if name is None:
            raise EdgeqError(
                "no operators for this machine",
                file=directory,
                found=", ".join(libraries),
                wanted=machine,
                remedy="export with --target, or give --library",
            )
        library = directory / inside(name)
    if not library.is_file():
        raise EdgeqError("no such operator library", file=library)
    return str(library.resolve())


def _model(directory: Path, manifest: Mapping[str, Any], facts: dict[str, Any], operators: str | None) -> Model:
    place, file = str(directory.resolve()), str(inside(manifest.get("model", "model.onnx")))
    if facts["kind"] == "encoder":
        limits = [_read(directory / name).get(field) for name, field in _LIMITS if (directory / name).is_file()]
        context = next((limit for limit in limits if isinstance(limit, int)), sys.maxsize)
        return Model(place, file, int(_read(directory / "config.json")["vocab_size"]), context, operators)
    genai = _read(directory / "genai_config.json")
    if facts["kind"] != "decoder" or not genai.get("search", {}).get("past_present_share_buffer", True):
        wanted = "a decoder with a shared cache, or an encoder"
        raise EdgeqError("cannot be profiled", file=directory, field="kind", found=facts["kind"], wanted=wanted)
    section = genai["model"]
    facts["context"] = section["context_length"]
    return Model(place, file, section["vocab_size"], section["context_length"], operators, decoder_graph(section))
