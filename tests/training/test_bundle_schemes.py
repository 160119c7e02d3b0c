# SPDX-License-Identifier: Apache-2.0
"""Training under the schemes that a bundle has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeq.errors import EdgeqError
from edgeq.training.bundle_schemes import bundle_schemes
from edgeq.training.settings import Settings
from edgeq.training.start import trained_layers, training_plan


def write_manifest(directory: Path, schemes: dict[str, str]) -> None:
    layers = [
        {"name": name, "operators": ["DintGemm"], "scheme": scheme, "rows": 64, "columns": 64, "size": 1}
        for name, scheme in schemes.items()
    ]
    source = {"name": "m", "architecture": "LlamaForCausalLM", "parameters": 1, "fingerprint": "0"}
    manifest = {
        "edgeq_version": "0", "kind": "decoder", "scheme": "w3g32", "method": "rtn", "source": source, "layers": layers,
        "operators": {"domain": "com.edgeq", "version": 1, "libraries": {}}, "files": {}, "versions": {},
    }  # fmt: skip
    (directory / "edgeq.json").write_text(json.dumps(manifest))


def test_every_layer_has_its_own(tiny: Path, tmp_path: Path) -> None:
    from edgeq.checkpoint import Checkpoint
    from edgeq.quantization.skeleton import build_skeleton, find_targets

    model = build_skeleton(Checkpoint(tiny))
    names = [target.name for target in find_targets(model)]
    schemes = {name: ("w2g32", "w4g32", "w8", "fp32")[index % 4] for index, name in enumerate(names)}
    write_manifest(tmp_path, schemes)
    layers = trained_layers(model, training_plan(Settings.build(**bundle_schemes(tmp_path, {"scheme": None}))))
    kept = {name: scheme for name, scheme in schemes.items() if scheme != "fp32"}
    assert {name: str(scheme) for name, (_, scheme) in layers.items()} == kept


def test_no_schemes_beside_them(tmp_path: Path) -> None:
    write_manifest(tmp_path, {})
    with pytest.raises(EdgeqError, match="--schemes-of: two sets of schemes, found scheme, skip"):
        bundle_schemes(tmp_path, {"scheme": "w4", "layers": None, "skip": ["lm_head"]})
    with pytest.raises(EdgeqError, match="not a bundle"):
        bundle_schemes(tmp_path / "none", {})
