# SPDX-License-Identifier: Apache-2.0
"""Schemes with 8-bit activations: what ONNX Runtime computes is what the quantized module computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

import edgeq_ops
from edgeq.calibration.data import read_calibration
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.linear import QuantLinear
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint, quantize_module
from edgeq.schemes import Scheme
from edgeq_export import export_bundle
from edgeq_export.decoder import trace_decoder
from edgeq_export.fusion import fuse_products
from tests.export.decoder_session import DecoderSession
from tests.export.parity import PROMPT, STEPS, random_tokens, reference
from tests.export.tiny_models import tiny_model

pytestmark = pytest.mark.transformers


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("scheme", ["w4a8-dint", "w4a8t-dint0.25", "w3a8tag32-dint0.125-asym"])
def test_the_operators_compute_what_the_module_does(scheme: str, tmp_path: Path) -> None:
    model = tiny_model("llama")
    quantize_module(model, Plan.build(Scheme.parse(scheme), vocabulary=Scheme.parse(scheme).for_vocabulary()))
    graph = trace_decoder(model)
    fuse_products(graph)
    products = [node for node in graph.graph if node.op_type == "DintGemm"]
    assert [len(node.outputs) for node in products] == [3, 1, 2, 1] * 2 + [1]
    ir.save(graph, tmp_path / "model.onnx")
    tokens = random_tokens(1, PROMPT + STEPS)
    session = DecoderSession(tmp_path / "model.onnx", capacity=40, library=edgeq_ops.library_path())
    found = [session.step(tokens[:, :PROMPT])]
    found += [session.step(tokens[:, i : i + 1]) for i in range(PROMPT, PROMPT + STEPS)]
    assert difference(np.concatenate(found, 1), reference(model, tokens)) <= 2e-2


def test_static_scales_come_from_calibration(books_6m: Path, evaluation_text: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint(books_6m)
    plan = Plan.build(Scheme.parse("w4a8sg64"), vocabulary=Scheme.parse("w8a8t"))
    with pytest.raises(EdgeqError, match=r"static scales of activations need calibration, found w4a8sg64.*a8t"):
        quantize_checkpoint(checkpoint, plan)
    data = read_calibration(checkpoint, evaluation_text, samples=4, length=64)
    quantized = quantize_checkpoint(checkpoint, plan, None, Calibration(data))
    layers = [layer for layer in quantized.model.modules() if isinstance(layer, QuantLinear)]
    assert all(layer.activation_scale for layer in layers if layer.activation_mode == "static")
    assert {layer.activation_mode for layer in layers} == {"static", "token"}
    export_bundle(quantized, tmp_path / "bundle")
    tokens = np.asarray(data.ids[:1, :24])
    with torch.no_grad():
        wanted = quantized.model(input_ids=torch.from_numpy(tokens), use_cache=False).logits.numpy()
    library = next((tmp_path / "bundle").glob("lib/*/libedgeq_ops.so"))
    session = DecoderSession(tmp_path / "bundle" / "model.onnx", library=library)
    assert difference(session.step(tokens), wanted) <= 2e-2
