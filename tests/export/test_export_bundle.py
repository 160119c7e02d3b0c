# SPDX-License-Identifier: Apache-2.0
"""Bundles of a real model against its quantized PyTorch module, in ONNX Runtime, onnxruntime-genai and optimum."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from tokenizers import Tokenizer

from edgeq.bundle.reader import open_bundle
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.quantization.linear import PackedWeight
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import QuantizedModel, quantize_checkpoint
from edgeq.schemes import Scheme
from edgeq_export import check_output, check_supported, export_bundle
from tests.export.decoder_session import Array, DecoderSession
from tests.export.tiny_models import tiny_model

pytestmark = pytest.mark.transformers
PROMPTS = ("The old man sat by the fire and", "It was")
GENERATED = 64
FLOAT_ACTIVATIONS = ("w4a32g32", "w3a32g32-bcq")


@dataclass
class Exported:
    """A bundle and the module it was made from."""

    directory: Path
    quantized: QuantizedModel
    prompts: list[list[int]]

    @property
    def library(self) -> Path:
        return next(self.directory.glob("lib/*/libedgeq_ops.so"))

    def logits(self, tokens: Array) -> Array:
        """Of the PyTorch module, without a cache."""
        with torch.no_grad():
            found: Array = self.quantized.model(input_ids=torch.from_numpy(tokens), use_cache=False).logits.numpy()
        return found

    @cache  # noqa: B019 (lives as long as the tests)
    def greedy(self, prompt: int) -> list[int]:
        """What the PyTorch module generates."""
        tokens = list(self.prompts[prompt])
        past, fresh = None, tokens
        for _ in range(GENERATED):
            with torch.no_grad():
                output = self.quantized.model(torch.tensor([fresh]), past_key_values=past, use_cache=True)
            past, fresh = output.past_key_values, [int(output.logits[0, -1].argmax())]
            tokens = tokens + fresh
        return tokens

    __hash__ = object.__hash__


@pytest.fixture(scope="module")
def exports(books_6m: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Exports of the example model by scheme, each made once."""
    tokenizer = Tokenizer.from_file(str(books_6m / "tokenizer.json"))
    patch = pytest.MonkeyPatch()
    patch.setattr(PackedWeight, "dequantize", cache(PackedWeight.dequantize))  # 64 steps decode each matrix once

    @cache
    def make(scheme: str) -> Exported:
        plan = Plan.build(Scheme.parse(scheme), clip="minmax")
        quantized = quantize_checkpoint(Checkpoint(books_6m), plan)
        directory = tmp_path_factory.mktemp(scheme) / "bundle"
        export_bundle(quantized, directory)
        return Exported(directory, quantized, [tokenizer.encode(text).ids for text in PROMPTS])

    yield make
    patch.undo()


@pytest.mark.parametrize(("scheme", "tolerance"), [*((scheme, 1e-3) for scheme in FLOAT_ACTIVATIONS), ("w4g128", 2e-2)])
def test_logits_against_the_quantized_module(exports: Any, scheme: str, tolerance: float) -> None:
    exported = exports(scheme)
    tokens = np.random.default_rng(0).integers(0, 4096, (1, 40))
    wanted = exported.logits(tokens)
    session = DecoderSession(exported.directory / "model.onnx", capacity=64, library=exported.library)
    found = [session.step(tokens[:, :32]), *(session.step(tokens[:, end - 1 : end]) for end in range(33, 41))]
    error = np.linalg.norm(np.concatenate(found, axis=1) - wanted) / np.linalg.norm(wanted)
    assert error <= tolerance


@pytest.mark.parametrize("scheme", FLOAT_ACTIVATIONS)
@pytest.mark.parametrize("prompt", [0, 1])
def test_greedy_text(exports: Any, scheme: str, prompt: int) -> None:
    exported = exports(scheme)
    tokens = list(exported.prompts[prompt])
    session = DecoderSession(exported.directory / "model.onnx", capacity=128, library=exported.library)
    fresh = tokens
    for _ in range(GENERATED):
        fresh = [int(session.step(np.array([fresh]), keep=1)[0, 0].argmax())]
        tokens = tokens + fresh
    assert tokens == exported.greedy(prompt)


@pytest.mark.parametrize("scheme", FLOAT_ACTIVATIONS)
def test_onnxruntime_genai_writes_the_same_text(exports: Any, scheme: str) -> None:
    genai = pytest.importorskip("onnxruntime_genai", reason="onnxruntime-genai is not installed")
    exported = exports(scheme)
    model = genai.Model(str(exported.directory))
    prompt, wanted = exported.prompts[0], exported.greedy(0)
    parameters = genai.GeneratorParams(model)
    parameters.set_search_options(max_length=len(wanted), do_sample=False)
    generator = genai.Generator(model, parameters)
    generator.append_tokens(np.array(prompt[:3], np.int32))  # a prompt in two pieces
    generator.append_tokens(np.array(prompt[3:], np.int32))
    while not generator.is_done():
        generator.generate_next_token()
    found = [int(token) for token in generator.get_sequence(0)]
    assert found == wanted[: len(found)]
    assert len(found) == len(wanted) or found[-1] in end_tokens(exported)


def test_onnxruntime_genai_takes_batches(exports: Any) -> None:
    genai = pytest.importorskip("onnxruntime_genai", reason="onnxruntime-genai is not installed")
    exported = exports(FLOAT_ACTIVATIONS[0])
    model = genai.Model(str(exported.directory))
    parameters = genai.GeneratorParams(model)
    parameters.set_search_options(max_length=40, do_sample=False, batch_size=len(PROMPTS))
    generator = genai.Generator(model, parameters)
    generator.append_tokens(genai.Tokenizer(model).encode_batch(list(PROMPTS)))
    while not generator.is_done():
        generator.generate_next_token()
    padding = max(map(len, exported.prompts)) - len(exported.prompts[1])
    short = [int(token) for token in generator.get_sequence(1)]
    found = [token for index, token in enumerate(short) if not 2 <= index < 2 + padding]  # it pads on the right
    assert found == exported.greedy(1)[: len(found)]


@pytest.mark.parametrize("scheme", FLOAT_ACTIVATIONS)
def test_optimum_writes_the_same_text(exports: Any, scheme: str) -> None:
    runtime = optimum_runtime()
    exported = exports(scheme)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.register_custom_ops_library(str(exported.library))
    model = runtime.ORTModelForCausalLM.from_pretrained(exported.directory, session_options=options)
    # Both rows in one batch: optimum pads on the left.
    width = max(map(len, exported.prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in exported.prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in exported.prompts])
    found = model.generate(ids, attention_mask=mask, max_new_tokens=32, do_sample=False, pad_token_id=0)
    for row, prompt in enumerate(exported.prompts):
        start = width - len(prompt)
        assert found[row, start:].tolist() == exported.greedy(row)[: len(prompt) + 32]


def optimum_runtime() -> Any:
    pytest.importorskip("optimum.onnxruntime", reason="optimum has no ONNX Runtime classes for this transformers")
    import optimum.onnxruntime

    return optimum.onnxruntime


def end_tokens(exported: Exported) -> list[int]:
    token = json.loads((exported.directory / "genai_config.json").read_text())["model"]["eos_token_id"]
    return token if isinstance(token, list) else [token]


def test_bundle_is_complete_and_tied_weights_are_stored_once(exports: Any) -> None:
    exported = exports("w4g128")
    bundle = open_bundle(exported.directory)
    assert bundle.kind == "decoder"
    present = {path.name for path in exported.directory.iterdir()}
    assert present >= {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "README.md"}
    matrices = sum(layer.size for layer in bundle.manifest.layers)
    # Embedding and head are one matrix, nothing else is large, and every matrix begins at a page.
    padding = bundle.manifest.files["model.onnx.data"].size - matrices
    assert 0 <= padding < 4096 * len(bundle.manifest.layers)
    tied = next(layer for layer in bundle.manifest.layers if layer.name == "model.embed_tokens")
    assert tied.operators == ["QuantGather", "DintGemm"]
    assert bundle.manifest.source.parameters == 5_770_496


EXPORT = """
import sys
from pathlib import Path
from edgeq.checkpoint import Checkpoint
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint
from edgeq.schemes import Scheme
from edgeq_export import export_bundle
quantized = quantize_checkpoint(Checkpoint(Path(sys.argv[1])), Plan.build(Scheme.parse("w3g32")))
export_bundle(quantized, Path(sys.argv[2]))
"""


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    tiny_checkpoint = tmp_path / "checkpoint"
    tiny_model("llama-tied").save_pretrained(tiny_checkpoint)
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", EXPORT, str(tiny_checkpoint), str(tmp_path / seed)]
        subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    files = [path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*") if path.is_file()]
    assert {"model.onnx", "model.onnx.data", "edgeq.json", "genai_config.json"} <= {str(path) for path in files}
    for path in files:
        assert (tmp_path / "1" / path).read_bytes() == (tmp_path / "2" / path).read_bytes(), path


def test_an_interrupted_export_leaves_nothing(exports: Any, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "write" and done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_bundle(exports("w4g128").quantized, tmp_path / "out", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def checkpoint_of(config: dict[str, Any], directory: Path) -> Any:
    return SimpleNamespace(config=config, directory=directory)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mamba"}, "unknown architecture, found mamba, wanted gemma, gemma2, .*llama, .*optimum-cli"),
        ({"model_type": None}, "unknown architecture"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "unsupported rotary embedding, found dynamic"),
        ({"rope_parameters": {"full_attention": {"rope_type": "x"}}}, "unsupported rotary embedding, found x"),
        ({"use_bidirectional_attention": True}, "not a causal model"),
        ({"hidden_size": 48, "num_attention_heads": 4}, "head_dim: unsupported size of attention heads, found 12"),
        ({"model_type": "gpt2", "n_embd": 40, "n_head": 2}, "unsupported size of attention heads, found 20"),
        ({"hidden_size": 48, "num_attention_heads": 4, "head_dim": 100}, "attention heads, found 100, wanted a mult"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_any_work(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"} | changes
    with pytest.raises(EdgeqError, match=message):
        check_supported(checkpoint_of(config, tmp_path), Plan.build(Scheme.parse("w4g128")))


def test_a_head_that_an_encoder_loses_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for architecture, warned in (("BertForSequenceClassification", True), ("BertModel", False)):
        caplog.clear()
        config = {"architectures": [architecture], "model_type": "bert"}
        check_supported(checkpoint_of(config, tmp_path), Plan.build(Scheme.parse("w4g128")))
        assert (f"without the head of {architecture}" in caplog.text) is warned


def test_portable_refuses_what_stock_operators_lack(tmp_path: Path) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    with pytest.raises(EdgeqError):
        check_supported(checkpoint_of(config, tmp_path), Plan.build(Scheme.parse("w3g32-bcq")), portable=True)


def test_a_full_directory_is_refused_before_tracing(exports: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeqError, match="not empty"):
        export_bundle(exports("w4g128").quantized, tmp_path)
    check_output(tmp_path, force=True)
