# SPDX-License-Identifier: Apache-2.0
"""Quantized key-value caches: ONNX Runtime's attention against PyTorch's with the same quantized keys and values."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from torch import Tensor

from edgeq.calibration.kv_cache import observe_cache
from edgeq.errors import EdgeqError
from edgeq.exporting import export
from edgeq.kv_cache import CacheBits, CacheScales, check_cached, parse_kv_cache
from edgeq_export.decoder import trace_decoder
from edgeq_export.interface import cache_of
from edgeq_export.kv_cache import quantize_cache
from tests.export.decoder_session import DecoderSession
from tests.export.parity import PROMPT, STEPS, random_tokens, reference
from tests.export.tiny_models import tiny_model

pytestmark = [
    pytest.mark.transformers,
    pytest.mark.skipif(
        tuple(map(int, ort.__version__.split(".")[:2])) < (1, 31), reason="older attention keeps floats only"
    ),
]


def fake_quantize(x: Tensor, scales: np.ndarray, bits: CacheBits) -> Tensor:
    """What the cache holds of ``[batch, heads, tokens, size]``."""
    scale = torch.from_numpy(scales).reshape(x.shape[1], 1, x.shape[3])
    top = 2 ** (bits - 1)
    return (x / scale).round().clamp(-top, top - 1) * scale


@contextmanager
def quantized_attention(model: Any, scales: CacheScales) -> Iterator[None]:
    """PyTorch's attention sees quantized keys and values inside the block."""
    library = sys.modules[type(model).__module__]
    plain = library.eager_attention_forward

    def attend(module: Any, query: Tensor, key: Tensor, value: Tensor, *arguments: Any, **options: Any) -> Any:
        key = fake_quantize(key, scales.keys[module.layer_idx], scales.bits)
        value = fake_quantize(value, scales.values[module.layer_idx], scales.bits)
        return plain(module, query, key, value, *arguments, **options)

    with patch.object(library, "eager_attention_forward", attend):
        yield


# The windows of mistral and gemma2 are shorter than the prompt, gemma2 caps its scores, gpt2 has no groups of heads.
@pytest.mark.parametrize(("name", "bits"), [("mistral", 8), ("llama", 4), ("gemma2", 4), ("gpt2", 8)])
def test_prompts_and_steps(name: str, bits: CacheBits, tmp_path: Path) -> None:
    model = tiny_model(name)
    scales = observe_cache(model, random_tokens(4, 32, seed=1), bits)
    graph = trace_decoder(model)
    float_cache = cache_of(graph)
    quantize_cache(graph, scales)
    assert cache_of(graph) == float_cache
    ir.save(graph, tmp_path / "model.onnx")
    tokens = random_tokens(1, PROMPT + STEPS)
    with quantized_attention(model, scales):
        wanted = reference(model, tokens)
    session = DecoderSession(tmp_path / "model.onnx", capacity=40)
    ends = [9, PROMPT, *range(PROMPT + 1, PROMPT + STEPS + 1)]
    pieces = [session.step(tokens[:, start:end]) for start, end in pairwise([0, *ends])]
    # A code on the border of two differs now and then; by far most of what quantization changes is the same.
    changed = np.linalg.norm(reference(model, tokens) - wanted)
    assert 0 < np.linalg.norm(np.concatenate(pieces, 1) - wanted) < 0.1 * changed


def test_scales_span_what_was_seen() -> None:
    model = tiny_model("llama")
    ids = random_tokens(4, 32)
    wide, narrow = observe_cache(model, ids, 8), observe_cache(model, ids, 4)
    cache = model(input_ids=torch.from_numpy(ids), use_cache=True).past_key_values
    for layer, (keys, few) in enumerate(zip(wide.keys, narrow.keys, strict=True)):
        largest = cache.layers[layer].keys.detach().abs().amax((0, 2)).flatten().numpy()
        np.testing.assert_allclose(127 * keys, largest, rtol=1e-4)
        assert (7 * few <= largest * 1.0001).all()  # 4 bits may cut off
        assert (7 * few >= 0.399 * largest).all()


@pytest.mark.parametrize(
    ("scheme", "message"),
    [("v4", "quantizes keys and values alike, found v4, wanted kv8 or kv4"), ("kv2", "unknown scheme .* found kv2")],
)
def test_schemes_that_do_not_exist(scheme: str, message: str) -> None:
    with pytest.raises(EdgeqError, match=message):
        parse_kv_cache(scheme)


def test_what_cannot_be_calibrated(tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match="scales of the key-value cache need calibration; add --calibration"):
        check_cached({"architectures": ["LlamaForCausalLM"]}, calibrated=False)
    with pytest.raises(EdgeqError, match="no key-value cache, found BertModel, wanted a decoder"):
        check_cached({"architectures": ["BertModel"]}, calibrated=True)
    with pytest.raises(EdgeqError, match="no quantized cache for ONNX files"):
        export("some.onnx", tmp_path / "out", kv_cache="kv8")
