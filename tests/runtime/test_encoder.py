# SPDX-License-Identifier: Apache-2.0
"""Encoders: pooling, batches, limits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq.runtime.loading import load_encoder
from edgeq.runtime.pooling import Pooling
from tests.tiny_decoder import write_records
from tests.tiny_encoder import TinyEncoder, tiny_encoder

__all__ = ["tiny_encoder"]
TEXTS = ["the cat", "a", "the dog sat on the mat", "mat"]


def add_modules(directory: Path, modes: dict[str, bool], normalize: bool) -> None:
    modules = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]  # fmt: skip
    if normalize:
        modules.append({"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"})
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 6, **modes}))
    write_records(directory, kind="encoder")


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_mean_pooling_ignores_padding(tiny_encoder: TinyEncoder, batch_size: int) -> None:
    encoder = load_encoder(tiny_encoder.directory, threads=1)
    found = encoder.encode(TEXTS, batch_size)
    wanted = np.stack([tiny_encoder.embedding[encoder.tokenizer.encode(text)].mean(axis=0) for text in TEXTS])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_bundle_says_how_to_pool(tiny_encoder: TinyEncoder) -> None:
    add_modules(tiny_encoder.directory, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, False)
    encoder = load_encoder(tiny_encoder.directory, threads=1)
    assert encoder.pooling == Pooling("cls", normalize=False)
    wanted = np.stack([tiny_encoder.embedding[encoder.tokenizer.encode(text)[0]] for text in TEXTS])
    np.testing.assert_array_equal(encoder.encode(TEXTS), wanted)


def test_other_pooling_is_refused(tiny_encoder: TinyEncoder) -> None:
    add_modules(tiny_encoder.directory, {"pooling_mode_max_tokens": True}, True)
    with pytest.raises(EdgeqError, match="unsupported pooling, found pooling_mode_max_tokens"):
        load_encoder(tiny_encoder.directory)


def test_long_texts_are_cut(tiny_encoder: TinyEncoder) -> None:
    (tiny_encoder.directory / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 1e30}))
    write_records(tiny_encoder.directory, kind="encoder")
    encoder = load_encoder(tiny_encoder.directory, threads=1)
    assert encoder.max_tokens == 16
    np.testing.assert_array_equal(encoder.encode(["q" * 100]), encoder.encode(["q" * 16]))


def test_no_texts(tiny_encoder: TinyEncoder) -> None:
    encoder = load_encoder(tiny_encoder.directory, threads=1)
    with pytest.raises(EdgeqError, match="no texts"):
        encoder.encode([])
    with pytest.raises(EdgeqError, match="no texts"):
        encoder.encode("one")
