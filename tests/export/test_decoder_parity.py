# SPDX-License-Identifier: Apache-2.0
"""Exported decoders against PyTorch: every architecture, in float and quantized; cached steps, padding, pieces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

import edgeq_ops
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_module
from edgeq.schemes import Scheme
from edgeq_export.decoder import trace_decoder
from edgeq_export.fusion import fuse_products
from tests.export.decoder_session import DecoderSession
from tests.export.parity import (
    PROMPT,
    assert_close,
    check_cached_steps,
    check_unequal_rows,
    pad,
    random_tokens,
    reference,
)
from tests.export.tiny_models import CONFIGS, LONG_ROPE_CONTEXT, tiny_model

pytestmark = pytest.mark.transformers
CAPACITY, LAYERS = 40, 2
# Outputs of the products of a layer: q, k and v; o; gate and up; down. Some architectures store them merged.
LAYER = [3, 1, 2, 1]
MERGED = [1, 1, 1, 1]
OUTPUTS = {
    "gpt2": [*MERGED * LAYERS, 1],
    "phi3": [*MERGED * LAYERS, 1],
    "opt": [1, *[3, 1, 1, 1] * LAYERS, 1, 1],  # no gate, but projections around the layers
}


def outputs_of_products(graph: ir.Model) -> list[int]:
    """Number of outputs of each product, in order."""
    return [len(node.outputs) for node in graph.graph if node.op_type == "DintGemm"]


@dataclass
class Traced:
    """A tiny model and its graph."""

    name: str
    model: Any
    path: Path
    library: Path | None = None

    def session(self, batch: int = 1, capacity: int = 0) -> DecoderSession:
        return DecoderSession(self.path, batch, capacity, self.library)

    @property
    def lengths(self) -> tuple[int, int]:
        """Of two rows. A batch uses the long factors as a whole, so all its rows are on one side of the limit."""
        return PROMPT, LONG_ROPE_CONTEXT + 2 if self.name == "phi3-longrope" else 5


@pytest.fixture(scope="module", params=CONFIGS)
def traced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Traced:
    model = tiny_model(request.param)
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    ir.save(trace_decoder(model), path)
    return Traced(request.param, model, path)


@pytest.mark.parametrize("capacity", [0, CAPACITY])
def test_prefill_and_cached_steps(traced: Traced, capacity: int) -> None:
    check_cached_steps(traced.model, traced.session(capacity=capacity))


@pytest.mark.parametrize("left", [True, False], ids=["left", "right"])
@pytest.mark.parametrize("capacity", [0, CAPACITY])
def test_rows_of_unequal_length(traced: Traced, left: bool, capacity: int) -> None:
    check_unequal_rows(traced.model, traced.session(2, capacity), traced.lengths, left)


@pytest.mark.parametrize("name", CONFIGS)
def test_quantized(name: str, tmp_path: Path) -> None:
    model = tiny_model(name)
    quantize_module(model, Plan.build(Scheme.parse("w4a32g32")))
    graph = trace_decoder(model)
    fuse_products(graph)
    assert {"DintGemm", "QuantGather"} <= {node.op_type for node in graph.graph if node.domain == "com.edgeq"}
    assert outputs_of_products(graph) == OUTPUTS.get(name.partition("-")[0], [*LAYER * LAYERS, 1])
    ir.save(graph, tmp_path / "model.onnx")
    traced = Traced(name, model, tmp_path / "model.onnx", edgeq_ops.library_path())
    check_cached_steps(model, traced.session(capacity=CAPACITY))
    check_unequal_rows(model, traced.session(2), traced.lengths, left=True)


@pytest.mark.parametrize("capacity", [0, CAPACITY])
def test_prompt_in_pieces(traced: Traced, capacity: int) -> None:
    if traced.name == "phi3-longrope":
        pytest.skip("keys cached with short factors stay short, in transformers as here")
    tokens = random_tokens(1, PROMPT)
    wanted = reference(traced.model, tokens)
    session = traced.session(capacity=capacity)
    done = 0
    for end in (7, 10, 11, PROMPT):
        # The operator takes pieces of one row only; padding in them is allowed all the same.
        piece, mask = pad([tokens[0, done:end], np.zeros(end - done + 1, np.int64)], left=end == 10)
        assert_close(session.step(piece[:1], mask[:1])[:, mask[0] == 1], wanted[:, done:end])
        done = end


@pytest.mark.parametrize("keep", [0, 1, 5])
def test_last_logits_only(traced: Traced, keep: int) -> None:
    tokens = random_tokens(2, PROMPT)
    assert_close(traced.session(2).step(tokens, keep=keep), reference(traced.model, tokens)[:, -keep:])


@pytest.mark.parametrize("traced", ["phi3-longrope"], indirect=True)
def test_long_rope_takes_the_short_factors_in_the_original_context(traced: Traced) -> None:
    tokens = random_tokens(1, LONG_ROPE_CONTEXT)
    wanted = reference(traced.model, tokens)
    session = traced.session()
    assert_close(session.step(tokens[:, :8]), wanted[:, :8])
    assert_close(session.step(tokens[:, 8:]), wanted[:, 8:])


@pytest.mark.parametrize("traced", ["llama"], indirect=True)
def test_heads_stay_side_by_side(traced: Traced) -> None:
    operators = [node.op_type for node in ir.load(traced.path).graph]
    assert operators.count("Transpose") <= 1  # of the rotary angles, with transformers 4
    assert operators.count("Reshape") == 1  # of num_logits_to_keep
