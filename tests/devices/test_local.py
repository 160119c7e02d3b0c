# SPDX-License-Identifier: Apache-2.0
"""The worker's models: they run bundles as edgeq's runtime does."""

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.facts import model_facts
from edgeq_devices.job import Job, Model, Test
from edgeq_devices.local import DecoderModel, EncoderModel, load
from edgeq_devices.profiler import measure_job
from tests.tiny_decoder import byte_tokenizer, write_records

WIDTH = 8


@pytest.fixture
def tiny_encoder(tmp_path):
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


def test_a_decoder_appends_to_its_context_and_forgets_it(tiny_decoder):
    model = DecoderModel(Job(Model(str(tiny_decoder.directory)), Test(prompt=8, depth=4), threads=1))
    assert (model.vocabulary, model.context, model.instruction_set) == (tiny_decoder.vocab, tiny_decoder.context, None)
    tokens = np.arange(10, dtype=np.int64)
    for _ in range(2):
        model.reset()
        model.advance(tokens[:4])
        model.advance(tokens[4:])
        assert model._graph.cache.length == 10
    expected = tiny_decoder.reference_logits([*range(10), 42])[-1]
    (logits,) = model._graph.run(np.array([42]))
    np.testing.assert_allclose(logits[-1], expected, rtol=1e-4, atol=1e-4)


def test_an_encoder_takes_any_sentence(tiny_encoder):
    model = load(Job(Model(str(tiny_encoder)), Test(prompt=8, encoder=True), threads=1))
    assert isinstance(model, EncoderModel)
    assert model.context == 32
    model.reset()
    model.advance(np.arange(8, dtype=np.int64))
    model.advance(np.arange(3, dtype=np.int64))


def test_an_encoder_is_measured_by_sentences(tiny_encoder):
    result = measure_job(Job(Model(str(tiny_encoder)), Test(prompt=16, encoder=True), threads=1, repetitions=2))
    assert result.rate.mean == pytest.approx(sum(1e9 / sample for sample in result.samples_ns) / 2)
    assert model_facts(tiny_encoder).kind == "encoder"


def test_a_sentence_longer_than_the_encoder_takes_is_refused(tiny_encoder):
    with pytest.raises(EdgeqError, match=r"^enc33: the test does not fit"):
        measure_job(Job(Model(str(tiny_encoder)), Test(prompt=33, encoder=True), threads=1))


def test_no_bundle():
    with pytest.raises(EdgeqError, match="no such bundle"):
        load(Job(Model("/no/such/bundle"), Test(prompt=1), threads=1))
