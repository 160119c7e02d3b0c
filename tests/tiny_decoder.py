# SPDX-License-Identifier: Apache-2.0
"""A decoder bundle made by hand: a graph small enough to check against NumPy, with weights that stay float32."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HEADS, KV_HEADS, WIDTH, LAYERS, CONTEXT = 4, 2, 8, 2, 64
HIDDEN = HEADS * WIDTH


@dataclass
class TinyDecoder:
    """A bundle directory and the float32 weights of its graph."""

    directory: Path
    weights: dict[str, np.ndarray]
    vocab: int
    context: int = CONTEXT

    def reference_logits(self, ids: list[int]) -> np.ndarray:
        """Logits ``[tokens, vocab]`` in float64."""
        w = {name: value.astype(np.float64) for name, value in self.weights.items()}
        x = w["embedding"][ids] + w["position"][: len(ids)]
        mask = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
        for layer in range(LAYERS):
            q, k, v = (x @ w[f"{name}{layer}"] for name in "qkv")
            split = lambda t: t.reshape(len(ids), -1, WIDTH).swapaxes(0, 1)  # noqa: E731
            k, v = (np.repeat(split(t), HEADS // KV_HEADS, axis=0) for t in (k, v))
            scores = split(q) @ k.swapaxes(1, 2) / math.sqrt(WIDTH) + mask
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            out = (scores / scores.sum(-1, keepdims=True)) @ v
            x = x + out.swapaxes(0, 1).reshape(len(ids), HIDDEN) @ w[f"o{layer}"]
        return x @ w["head"]


def byte_tokenizer() -> Any:
    """A byte-level BPE tokenizer with a few merges and the special tokens ``<s>`` (0) and ``</s>`` (1)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the cat sat on the mat, the dog sat too"] * 3 + ["€ 😀 日本語 €"] * 2, trainer)
    return tokenizer


def make_graph(weights: dict[str, np.ndarray], vocab: int, *, shared: bool = True) -> Any:
    """The graph as ONNX: attention through GroupQueryAttention; with ``shared`` off its pasts grow by concatenation."""
    from onnx import TensorProto, helper, numpy_helper

    value = helper.make_tensor_value_info
    inputs = [value(name, TensorProto.INT64, ["b", axis]) for name, axis in
              (("input_ids", "s"), ("attention_mask", "t"), ("position_ids", "s"))]  # fmt: skip
    outputs = [value("logits", TensorProto.FLOAT, ["b", "s", vocab])]
    node = helper.make_node
    nodes = [
        node("ReduceSum", ["attention_mask", "axis1"], ["sums"], keepdims=0),
        node("Sub", ["sums", "one"], ["last"]),
        node("Cast", ["last"], ["seqlens"], to=TensorProto.INT32),
        node("Shape", ["attention_mask"], ["mask_shape"]),
        node("Gather", ["mask_shape", "one"], ["total64"], axis=0),
        node("Cast", ["total64"], ["total"], to=TensorProto.INT32),
        node("Gather", ["embedding", "input_ids"], ["tokens"]),
        node("Gather", ["position", "position_ids"], ["positions"]),
        node("Add", ["tokens", "positions"], ["x0"]),
    ]
    for layer in range(LAYERS):
        nodes += [node("MatMul", [f"x{layer}", f"{n}{layer}"], [f"{n}_{layer}"]) for n in "qkv"]
        pasts = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        presents = [f"present.{layer}.{kind}" for kind in ("key", "value")]
        inputs += [value(name, TensorProto.FLOAT, ["b", KV_HEADS, "p", WIDTH]) for name in pasts]
        outputs += [value(name, TensorProto.FLOAT, ["b", KV_HEADS, "c", WIDTH]) for name in presents]
        nodes += [
            node("GroupQueryAttention", [f"q_{layer}", f"k_{layer}", f"v_{layer}", *pasts, "seqlens", "total"],
                 [f"a{layer}", *presents], domain="com.microsoft", num_heads=HEADS, kv_num_heads=KV_HEADS),
            node("MatMul", [f"a{layer}", f"o{layer}"], [f"p{layer}"]),
            node("Add", [f"x{layer}", f"p{layer}"], [f"x{layer + 1}"]),
        ]  # fmt: skip
    constants = {**weights, "one": np.array(1, np.int64), "axis1": np.array([1], np.int64)}
    if shared:  # as edgeq exports it: only so many logits on demand, all for 0
        inputs.append(value("num_logits_to_keep", TensorProto.INT64, []))
        constants |= {"num_logits_to_keep": np.array(0, np.int64), "end": np.array([2**62], np.int64)}
        nodes += [
            node("Neg", ["num_logits_to_keep"], ["first"]),
            node("Reshape", ["first", "axis1"], ["start"]),
            node("Slice", [f"x{LAYERS}", "start", "end", "axis1"], ["kept"]),
        ]
    nodes.append(node("MatMul", ["kept" if shared else f"x{LAYERS}", "head"], ["logits"]))
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def write_records(directory: Path, **changes: Any) -> None:
    """Writes ``edgeq.json`` for the files that are there now."""
    files = [path for path in sorted(directory.rglob("*")) if path.is_file() and path.name != "edgeq.json"]
    manifest = {
        "schema_version": 1, "edgeq_version": "0.1.0", "kind": "decoder", "scheme": "fp32", "method": "none",
        "model": "model.onnx", "layers": [], "versions": {},
        "source": {"name": "tiny", "architecture": "Tiny", "parameters": 1, "fingerprint": "0"},
        "operators": {"domain": "com.edgeq", "version": 1, "libraries": {}},
        "files": {
            path.relative_to(directory).as_posix(): {
                "size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()
            } for path in files
        },
    }  # fmt: skip
    (directory / "edgeq.json").write_text(json.dumps({**manifest, **changes}))


def genai_config(vocab: int, *, shared: bool = True) -> dict[str, Any]:
    """``genai_config.json`` of the tiny decoder."""
    return {
        "model": {
            "type": "llama", "vocab_size": vocab, "context_length": CONTEXT, "bos_token_id": 0, "eos_token_id": 1,
            "decoder": {
                "filename": "model.onnx", "head_size": WIDTH, "hidden_size": HIDDEN, "num_attention_heads": HEADS,
                "num_hidden_layers": LAYERS, "num_key_value_heads": KV_HEADS, "session_options": {},
                "inputs": {
                    "input_ids": "input_ids", "attention_mask": "attention_mask", "position_ids": "position_ids",
                    "past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits", "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        "search": {"do_sample": False, "past_present_share_buffer": shared},
    }  # fmt: skip


def make_tiny_decoder(directory: Path, *, shared: bool = True) -> TinyDecoder:
    """Writes the bundle."""
    tokenizer = byte_tokenizer()
    vocab = tokenizer.get_vocab_size()
    random = np.random.default_rng(0)
    shapes = {"embedding": (vocab, HIDDEN), "position": (CONTEXT, HIDDEN), "head": (HIDDEN, vocab)}
    for layer in range(LAYERS):
        for name, columns in (("q", HIDDEN), ("k", KV_HEADS * WIDTH), ("v", KV_HEADS * WIDTH), ("o", HIDDEN)):
            shapes[f"{name}{layer}"] = (HIDDEN, columns)
    weights = {name: random.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.onnx").write_bytes(make_graph(weights, vocab).SerializeToString())
    (directory / "genai_config.json").write_text(json.dumps(genai_config(vocab, shared=shared)))
    (directory / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    tokenizer.save(str(directory / "tokenizer.json"))
    write_records(directory)
    return TinyDecoder(directory, weights, vocab)


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory: pytest.TempPathFactory) -> TinyDecoder:
    """The bundle, shared by all tests: not to be changed."""
    return make_tiny_decoder(tmp_path_factory.mktemp("tiny") / "bundle")
