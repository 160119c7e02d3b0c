# SPDX-License-Identifier: Apache-2.0
"""Bundles with rounded weights and activations compute what the quantized modules compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeq.bundle.manifest import read_manifest
from edgeq.calibration.data import CalibrationData
from edgeq.checkpoint import Checkpoint
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint
from edgeq.schemes import Scheme
from edgeq_export import export_bundle
from tests.export.decoder_session import DecoderSession
from tests.quantization.conftest import save_llama

pytestmark = pytest.mark.transformers
DATA = CalibrationData(np.random.default_rng(0).integers(0, 50, (6, 24)), "random", 0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    directory = tmp_path_factory.mktemp("llama")
    save_llama(directory, tie_word_embeddings=False, num_hidden_layers=1)
    return Checkpoint(directory)


@pytest.mark.parametrize("scheme", ["w4a8-dint", "w3a8-dint"])
def test_a_bundle_of_scaled_layers_is_the_quantized_module(checkpoint: Checkpoint, scheme: str, tmp_path: Path) -> None:
    plan = Plan.build(Scheme.parse(scheme), method="aqas+gptq")
    quantized = quantize_checkpoint(checkpoint, plan, None, Calibration(DATA, length_reason="because"))
    export_bundle(quantized, tmp_path / "bundle")

    tokens = np.random.default_rng(1).integers(0, 50, (1, 20))
    with torch.no_grad():
        wanted = quantized.model(input_ids=torch.from_numpy(tokens), use_cache=False).logits.numpy()
    library = next((tmp_path / "bundle").glob("lib/*/libedgeq_ops.so"))
    session = DecoderSession(tmp_path / "bundle" / "model.onnx", capacity=32, library=library)
    found = np.concatenate(
        [session.step(tokens[:, :16]), *(session.step(tokens[:, i : i + 1]) for i in range(16, 20))], 1
    )
    assert np.linalg.norm(found - wanted) / np.linalg.norm(wanted) <= 2e-2

    manifest = read_manifest(tmp_path / "bundle")
    assert manifest.calibration is not None
    assert manifest.calibration.length_reason == "because"
    schemes = {layer.scheme for layer in manifest.layers if ".layers." in layer.name}
    assert schemes <= {str(Scheme.parse(scheme).with_format(fmt)) for fmt in Scheme.parse(scheme).formats}
