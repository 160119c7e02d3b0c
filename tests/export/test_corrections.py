# SPDX-License-Identifier: Apache-2.0
"""Codebook weights with sparse and low-rank corrections, from the module through ONNX to ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import onnx_ir as ir
import pytest
import torch

import edgeq_ops
from edgeq.quantization.corrections import LowRank, Sparse
from edgeq.quantization.linear import QuantLinear
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_module
from edgeq.schemes import Scheme
from edgeq_export.decoder import trace_decoder
from edgeq_export.fusion import fuse_products
from edgeq_export.model_file import write_model
from tests.export.decoder_session import DecoderSession
from tests.export.parity import check_cached_steps
from tests.export.tiny_models import tiny_model

pytestmark = pytest.mark.transformers
RANK = 3


@pytest.fixture(scope="module")
def corrected() -> Any:
    """A Llama with all linear layers at 3 bits, every other one with corrections of each kind."""
    model = tiny_model("llama")
    quantize_module(model, Plan.build(Scheme.parse("w3a32-codebook"), skip=["embed_tokens"], method="codebook"))
    torch.manual_seed(1)
    linears = [module for module in model.modules() if isinstance(module, QuantLinear)]
    for layer in linears[::2]:
        rows, columns = layer.weight.rows, layer.weight.columns
        outliers = torch.where(torch.rand(rows, columns) < 0.02, torch.randn(rows, columns), 0.0)
        low_rank = LowRank(0.1 * torch.randn(RANK, columns), torch.randn(rows, RANK))
        layer.corrections.extend([Sparse.from_dense(outliers), low_rank])
    return model


@pytest.fixture(scope="module")
def exported(corrected: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph as the bundle has it."""
    graph = trace_decoder(corrected)
    fuse_products(graph)
    directory = tmp_path_factory.mktemp("corrected")
    write_model(graph, directory)
    return directory / "model.onnx"


def test_logits_are_those_of_the_module(corrected: Any, exported: Path) -> None:
    check_cached_steps(corrected, DecoderSession(exported, library=edgeq_ops.library_path()))


def test_the_graph_has_the_corrections(corrected: Any, exported: Path) -> None:
    graph = ir.load(exported).graph
    linears = [module for module in corrected.modules() if isinstance(module, QuantLinear)]
    with_corrections = sum(bool(module.corrections) for module in linears)
    assert sum(node.op_type == "SparseGemm" for node in graph) == with_corrections
    casts = [node for node in graph if node.op_type == "Cast" and node.inputs[0].is_initializer()]
    assert len(casts) == 2 * with_corrections  # of the factors, when ONNX Runtime loads them
    halves = [value for value in graph.initializers.values() if value.dtype == ir.DataType.FLOAT16]
    assert len(halves) == 3 * with_corrections  # factors and sparse values, stored as they are counted


def test_codebook_products_of_one_input_are_merged(exported: Path) -> None:
    products = [node for node in ir.load(exported).graph if node.op_type == "DintGemm"]
    assert all(node.attributes["format"].as_string() == "codebook" for node in products)
    assert Counter(len(node.outputs) for node in products)[3] == 2  # q, k and v of both layers
