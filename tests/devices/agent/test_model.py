# SPDX-License-Identifier: Apache-2.0
"""The agent's models: they run bundles as edgeq's runtime does, without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq.bundle.reader import open_bundle
from edgeq.errors import EdgeqError
from edgeq_devices.agent.model import Decoder, Encoder, load
from edgeq_devices.deploy import model_of
from edgeq_devices.job import Job, Test
from tests.tiny_decoder import byte_tokenizer, write_records

WIDTH = 8


@pytest.fixture
def tiny_encoder(tmp_path: Path) -> Path:
    """An encoder whose hidden states are its embeddings, masked."""
    from onnx import TensorProto, helper, numpy_helper

    tokenizer = byte_tokenizer()
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), WIDTH)).astype(np.float32)
    value = helper.make_tensor_value_info
    inputs = [value(name, TensorProto.INT64, ["b", "s"]) for name in ("input_ids", "attention_mask")]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "axis"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["last_hidden_state"]),
    ]
    constants = {"table": table, "axis": np.array([2], np.int64)}
    graph = helper.make_graph(
        nodes,
        "encoder",
        inputs,
        [value("last_hidden_state", TensorProto.FLOAT, ["b", "s", WIDTH])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 32}')
    write_records(tmp_path, kind="encoder")
    return tmp_path


def job_for(directory: Path, test: Test) -> Job:
    return Job(model_of(open_bundle(directory), str(directory), None), test, threads=1)


@pytest.mark.parametrize("prompt", [[10], [4, 6], [1] * 10])
def test_a_decoder_appends_to_its_context_and_forgets_it(tiny_decoder: Any, prompt: list[int]) -> None:
    model = load(job_for(tiny_decoder.directory, Test(prompt=8, depth=4)))
    assert isinstance(model, Decoder)
    assert (model.vocabulary, model.context, model.instruction_set) == (tiny_decoder.vocab, tiny_decoder.context, None)
    expected = tiny_decoder.reference_logits([*range(10), 42])[-1]
    for _ in range(2):
        model.reset()
        for part in np.split(np.arange(10, dtype=np.int64), np.cumsum(prompt)[:-1]):
            model.advance(part)
        model.advance(np.array([42]))
        np.testing.assert_allclose(model._arrays["logits"][0, -1], expected, rtol=1e-4, atol=1e-4)


def test_an_encoder_takes_any_sentence(tiny_encoder: Path) -> None:
    model = load(job_for(tiny_encoder, Test(prompt=8, encoder=True)))
    assert isinstance(model, Encoder)
    assert model.context == 32
    model.reset()
    model.advance(np.arange(8, dtype=np.int64))
    model.advance(np.arange(3, dtype=np.int64))


def test_a_graph_is_no_model_to_measure(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    write_records(tmp_path, kind="graph")
    with pytest.raises(EdgeqError, match="cannot be profiled, found graph"):
        job_for(tmp_path, Test(prompt=1))


def test_a_file_that_is_no_model_is_refused(tiny_decoder: Any, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"garbage")
    job = job_for(tiny_decoder.directory, Test(prompt=1))
    with pytest.raises(EdgeqError, match=r"model\.onnx: ONNX Runtime refuses the model"):
        load(Job(model_of(open_bundle(tiny_decoder.directory), str(tmp_path), None), job.test, 1))
