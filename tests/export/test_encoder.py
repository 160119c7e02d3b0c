# SPDX-License-Identifier: Apache-2.0
"""Encoders: hidden states of padded batches against PyTorch, bundles, and what optimum makes of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
import transformers

import edgeq_ops
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint, quantize_module
from edgeq.schemes import Scheme
from edgeq_export import export_bundle
from edgeq_export.encoder import ENCODERS, check_encoder, encoder_inputs, trace_encoder
from edgeq_export.portable import make_portable

TOLERANCE = 1e-4  # of the largest hidden state
INT8_TOLERANCE = 5e-2  # the same where operators quantize activations to 8 bits
VOCABULARY = 128
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 40,
}
CONFIGS = {
    "bert": transformers.BertConfig(**SIZES),
    "distilbert": transformers.DistilBertConfig(
        dim=32, n_layers=1, n_heads=4, hidden_dim=64, vocab_size=VOCABULARY, max_position_embeddings=40
    ),
    "electra": transformers.ElectraConfig(**SIZES, embedding_size=16),
    "mpnet": transformers.MPNetConfig(**SIZES),
    "roberta": transformers.RobertaConfig(**SIZES, type_vocab_size=1),
    "xlm-roberta": transformers.XLMRobertaConfig(**SIZES, type_vocab_size=1),
}


def random_model(name):
    torch.manual_seed(5)
    model = transformers.AutoModel.from_config(CONFIGS[name]).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def padded_batch(model, rows=3, length=9, vocabulary=VOCABULARY):
    """Rows of unequal lengths, the shortest of one token."""
    generator = torch.Generator().manual_seed(9)
    mask = torch.ones(rows, length, dtype=torch.int64)
    for row in range(1, rows):
        mask[row, 1 if row == rows - 1 else length - 2 * row :] = 0
    padding = getattr(model.config, "pad_token_id", 0) or 0
    ids = torch.randint(3, vocabulary, (rows, length), generator=generator).where(mask.bool(), padding)
    batch = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in encoder_inputs(model):
        batch["token_type_ids"] = torch.randint(0, 2, (rows, length), generator=generator)
    return batch


def session(path, *, operators):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    if operators:
        edgeq_ops.register(options)
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def relative_error(model, run, batch):
    with torch.no_grad():
        wanted = model(**batch).last_hidden_state.numpy()
    found = run.run(["last_hidden_state"], {name: tensor.numpy() for name, tensor in batch.items()})[0]
    valid = batch["attention_mask"].numpy().astype(bool)
    return np.abs(found - wanted)[valid].max() / np.abs(wanted[valid]).max()


@pytest.mark.transformers
@pytest.mark.parametrize("name", ENCODERS)
def test_quantized_hidden_states_agree_with_pytorch(name, tmp_path):
    model = random_model(name)
    quantize_module(model, Plan(Scheme.parse("w4a32g32")))
    graph = trace_encoder(model)
    assert [value.name for value in graph.graph.inputs] == encoder_inputs(model)
    ir.save(graph, tmp_path / "model.onnx")
    run = session(tmp_path / "model.onnx", operators=True)
    for rows, length in ((3, 9), (1, 1), (2, 33)):
        assert relative_error(model, run, padded_batch(model, rows, length)) <= TOLERANCE


def test_float_hidden_states_and_attention(tmp_path):
    model = random_model("bert")
    graph = trace_encoder(model)
    kinds = [node.op_type for node in graph.graph]
    assert kinds.count("Attention") == 1
    assert "Softmax" not in kinds
    assert str(graph.graph.outputs[0].shape) == "[batch_size,sequence_length,32]"
    ir.save(graph, tmp_path / "model.onnx")
    assert relative_error(model, session(tmp_path / "model.onnx", operators=False), padded_batch(model)) <= TOLERANCE


def test_other_architectures_are_refused():
    with pytest.raises(EdgeqError, match=r"model_type.*gpt2.*optimum-cli"):
        check_encoder(transformers.GPT2Config())
    with pytest.raises(EdgeqError, match="is_decoder"):
        check_encoder(transformers.BertConfig(is_decoder=True))


@pytest.fixture(scope="module")
def sentence_bundle(minilm, tmp_path_factory):
    """all-MiniLM-L6-v2 with float activations: the quantized PyTorch model and its bundle."""
    quantized = quantize_checkpoint(Checkpoint(minilm), Plan(Scheme.parse("w4a32g128")))
    path = tmp_path_factory.mktemp("minilm") / "bundle"
    return quantized, path, export_bundle(quantized, path)


def test_minilm_agrees_with_pytorch(sentence_bundle):
    quantized, path, manifest = sentence_bundle
    assert (manifest.kind, manifest.source.architecture) == ("encoder", "BertModel")
    assert manifest.source.parameters == 22_713_216
    assert len(manifest.layers) == 1 + 6 * 6  # the pooler is not part of the graph
    batch = padded_batch(quantized.model, 3, 24, 30_000)
    assert relative_error(quantized.model, session(path / "model.onnx", operators=True), batch) <= TOLERANCE


def test_minilm_bundle_holds_what_makes_sentence_embeddings_of_hidden_states(sentence_bundle):
    _, path, manifest = sentence_bundle
    wanted = {"config.json", "tokenizer.json", "1_Pooling/config.json", "modules.json"}
    assert wanted <= set(manifest.files)
    assert all((path / name).is_file() for name in wanted)


def test_optimum_runs_the_minilm_bundle(sentence_bundle):
    runtime = pytest.importorskip("optimum.onnxruntime", reason="optimum-onnx is absent or does not fit transformers")
    quantized, path, _ = sentence_bundle
    options = ort.SessionOptions()
    edgeq_ops.register(options)
    model = runtime.ORTModelForFeatureExtraction.from_pretrained(path, session_options=options)
    tokens = transformers.AutoTokenizer.from_pretrained(path)(
        ["A short one.", "A sentence that is quite a bit longer than the other."], padding=True, return_tensors="pt"
    )
    found = model(**tokens).last_hidden_state
    with torch.no_grad():
        wanted = quantized.model(**tokens).last_hidden_state
    valid = tokens["attention_mask"].bool()
    assert (found - wanted)[valid].abs().max() <= TOLERANCE * wanted[valid].abs().max()


def test_a_portable_encoder_runs_without_the_library(tmp_path):
    model = random_model("bert")
    quantize_module(model, Plan(Scheme.parse("w4g32"), vocabulary=Scheme.parse("w8g32")))
    graph = trace_encoder(model)
    make_portable(graph)
    ir.save(graph, tmp_path / "model.onnx")
    run = session(tmp_path / "model.onnx", operators=False)
    assert relative_error(model, run, padded_batch(model)) <= INT8_TOLERANCE
