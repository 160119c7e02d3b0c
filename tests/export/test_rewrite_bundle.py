# SPDX-License-Identifier: Apache-2.0
"""Models that optimum exported: quantized, written as bundles, and run by optimum and ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
import transformers

import edgeq_ops
from edgeq.bundle.reader import open_bundle
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme
from edgeq_export.rewrite import export_onnx_file, load_onnx

optimum_onnx = pytest.importorskip(
    "optimum.exporters.onnx", reason="optimum-onnx is absent or does not fit transformers"
)
optimum_runtime = pytest.importorskip(
    "optimum.onnxruntime", reason="optimum-onnx is absent or does not fit transformers"
)

VOCABULARY, LENGTH = 160, 64
SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": LENGTH,
}
CONFIGS = {
    "llama": transformers.LlamaConfig(**SIZES, intermediate_size=96, num_key_value_heads=2, tie_word_embeddings=True),
    "gpt2": transformers.GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=VOCABULARY, n_positions=LENGTH),
    "opt": transformers.OPTConfig(**SIZES, ffn_dim=96, word_embed_proj_dim=64),
    "bert": transformers.BertConfig(**SIZES, intermediate_size=96),
}
# Matrices: embedding (shared with the head), and those of two layers.
MATRICES = {"llama": 1 + 2 * 7, "gpt2": 1 + 2 * 4, "opt": 1 + 2 * 6, "bert": 2 + 2 * 6}
DECODERS = ["llama", "gpt2", "opt"]


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Directories of the models, as optimum writes them."""
    root = tmp_path_factory.mktemp("optimum")
    for name, config in CONFIGS.items():
        torch.manual_seed(7)
        kind, task = transformers.AutoModelForCausalLM, "text-generation-with-past"
        if name == "bert":
            kind, task = transformers.AutoModel, "feature-extraction"
        model = kind.from_config(config).eval()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.1)
        model.save_pretrained(root / "source" / name)
        optimum_onnx.main_export(str(root / "source" / name), output=root / name, task=task)
    return root


def bundle(exported, tmp_path, name, scheme, **options):
    manifest = export_onnx_file(
        exported / name / "model.onnx", Plan(Scheme.parse(scheme)), tmp_path / "bundle", **options
    )
    return tmp_path / "bundle", manifest


def session_options(*, operators=True):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    if operators:
        edgeq_ops.register(options)
    return options


def first_output(path, options, ids, mask):
    """Logits or hidden states of a whole padded batch, without a cache."""
    session = ort.InferenceSession(path / "model.onnx", options)
    known = {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": np.maximum(mask.cumsum(1) - 1, 0),
        "token_type_ids": np.zeros_like(ids),
    }
    feeds = {}
    for value in session.get_inputs():
        past = value.name.startswith("past")
        feeds[value.name] = (
            np.zeros((len(ids), value.shape[1], 0, value.shape[3]), np.float32) if past else known[value.name]
        )
    return session.run([session.get_outputs()[0].name], feeds)[0][mask.astype(bool)]


def batch():
    rng = np.random.default_rng(11)
    mask = np.ones((2, 12), np.int64)
    mask[0, :5] = 0
    return rng.integers(3, VOCABULARY, (2, 12)), mask


@pytest.mark.parametrize("name", CONFIGS)
def test_eight_bits_stay_near_the_original(exported, tmp_path, name):
    path, manifest = bundle(exported, tmp_path, name, "w8g32")
    assert len(manifest.layers) == MATRICES[name]
    assert manifest.operators.libraries
    ids, mask = batch()
    found = first_output(path, session_options(), ids, mask)
    wanted = first_output(exported / name, session_options(operators=False), ids, mask)
    assert np.abs(found - wanted).max() <= 0.06 * np.abs(wanted).max()


@pytest.mark.parametrize("name", CONFIGS)
def test_own_and_stock_operators_agree(exported, tmp_path, name):
    ids, mask = batch()
    own, _ = bundle(exported, tmp_path / "own", name, "w4a32g32")
    stock, manifest = bundle(exported, tmp_path / "stock", name, "w4a32g32", portable=True)
    found = first_output(own, session_options(), ids, mask)
    wanted = first_output(stock, session_options(operators=False), ids, mask)
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert not manifest.operators.libraries
    sizes = {layer.name: layer.size for layer in manifest.layers}
    stored = {value.name: value.const_value for value in load_onnx(stock / "model.onnx").graph.initializers.values()}
    for name, size in sizes.items():
        assert sum(tensor.nbytes for key, tensor in stored.items() if key.startswith(f"{name}.weight")) == size


@pytest.mark.parametrize("name", DECODERS)
def test_optimum_generates_from_the_bundle(exported, tmp_path, name):
    path, manifest = bundle(exported, tmp_path, name, "w4a32g32")
    assert manifest.kind == "decoder"
    model = optimum_runtime.ORTModelForCausalLM.from_pretrained(
        path, session_options=session_options(), use_io_binding=False
    )
    prompt = torch.from_numpy(batch()[0][1:])
    tokens = model.generate(prompt, max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0).numpy()
    assert tokens.shape == (1, 20)
    # What the cached steps chose is what one run over all tokens chooses.
    logits = first_output(path, session_options(), tokens, np.ones_like(tokens))
    np.testing.assert_array_equal(logits[11:-1].argmax(1), tokens[0, 12:])


def test_a_decoder_bundle_opens_with_its_cache_described(exported, tmp_path):
    path, _ = bundle(exported, tmp_path, "llama", "w4g32")
    opened = open_bundle(path)
    decoder = opened.genai.model.decoder
    assert (decoder.head_size, decoder.num_key_value_heads, decoder.num_attention_heads) == (16, 2, 4)
    assert (opened.genai.model.vocab_size, opened.genai.model.context_length) == (VOCABULARY, LENGTH)
    assert not opened.genai.search.past_present_share_buffer  # optimum's graphs concatenate


def test_optimum_extracts_features_from_the_bundle(exported, tmp_path):
    path, manifest = bundle(exported, tmp_path, "bert", "w4a32g32")
    assert manifest.kind == "encoder"
    model = optimum_runtime.ORTModelForFeatureExtraction.from_pretrained(path, session_options=session_options())
    ids, mask = batch()
    hidden = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).last_hidden_state.numpy()
    np.testing.assert_allclose(hidden[mask.astype(bool)], first_output(path, session_options(), ids, mask), atol=1e-5)


def test_the_same_file_gives_the_same_bundle(exported, tmp_path):
    _, first = bundle(exported, tmp_path / "1", "gpt2", "w4g32")
    _, second = bundle(exported, tmp_path / "2", "gpt2", "w4g32")
    assert first == second
