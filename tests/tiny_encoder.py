# SPDX-License-Identifier: Apache-2.0
"""An encoder bundle made by hand: its hidden states are the token embeddings, so pooling can be checked exactly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_decoder import byte_tokenizer, write_records

WIDTH = 6


@dataclass
class TinyEncoder:
    """A bundle directory and the embedding ``[vocab, WIDTH]`` of its graph."""

    directory: Path
    embedding: np.ndarray


def make_tiny_encoder(directory: Path, seed: int = 0) -> TinyEncoder:
    """Writes the bundle."""
    from onnx import TensorProto, helper, numpy_helper

    tokenizer = byte_tokenizer()
    embedding = np.random.default_rng(seed).normal(size=(tokenizer.get_vocab_size(), WIDTH)).astype(np.float32)
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "s"]) for n in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["b", "s", WIDTH])
    nodes = [helper.make_node("Gather", ["embedding", "input_ids"], ["last_hidden_state"])]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], [numpy_helper.from_array(embedding, "embedding")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.onnx").write_bytes(model.SerializeToString())
    (directory / "config.json").write_text(json.dumps({"max_position_embeddings": 16}))
    tokenizer.save(str(directory / "tokenizer.json"))
    write_records(directory, kind="encoder")
    return TinyEncoder(directory, embedding)


@pytest.fixture
def tiny_encoder(tmp_path: Path) -> TinyEncoder:
    """A bundle that a test may change."""
    return make_tiny_encoder(tmp_path / "encoder")
