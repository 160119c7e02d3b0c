# SPDX-License-Identifier: Apache-2.0
"""Calibrated exports: what ONNX Runtime computes is what the quantized module computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeq.bundle.manifest import read_manifest
from edgeq.calibration.data import read_calibration
from edgeq.checkpoint import Checkpoint
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint
from edgeq.schemes import Scheme
from edgeq_export import export_bundle
from tests.export.decoder_session import DecoderSession

pytestmark = pytest.mark.transformers


def test_a_calibrated_bundle_is_the_quantized_module(books_6m: Path, evaluation_text: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint(books_6m)
    data = read_calibration(checkpoint, evaluation_text, samples=4, length=64)
    plan = Plan.build(Scheme.parse("w3a32g64"), method="awq+gptq", options={"gptq.act_order": True})
    quantized = quantize_checkpoint(checkpoint, plan, None, Calibration(data))
    export_bundle(quantized, tmp_path / "bundle")

    tokens = np.random.default_rng(0).integers(0, 4096, (1, 24))
    with torch.no_grad():
        wanted = quantized.model(input_ids=torch.from_numpy(tokens), use_cache=False).logits.numpy()
    library = next((tmp_path / "bundle").glob("lib/*/libedgeq_ops.so"))
    session = DecoderSession(tmp_path / "bundle" / "model.onnx", capacity=32, library=library)
    found = np.concatenate(
        [session.step(tokens[:, :20]), *(session.step(tokens[:, i : i + 1]) for i in range(20, 24))], 1
    )
    assert np.linalg.norm(found - wanted) / np.linalg.norm(wanted) <= 1e-2  # the vocabulary's activations are int8

    manifest = read_manifest(tmp_path / "bundle")
    assert manifest.method == plan.describe_method() == "awq+gptq gptq.act_order=True gptq.clip=mse"
    assert manifest.calibration is not None
    assert (manifest.calibration.source, manifest.calibration.samples, manifest.calibration.length) == (
        "evaluation.txt",
        4,
        64,
    )
    assert manifest.calibration.fingerprint == data.fingerprint
