# SPDX-License-Identifier: Apache-2.0
"""Exported decoders against PyTorch: every architecture, cached steps, padding, pieces of prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from edgeq_export.decoder import trace_decoder
from tests.export.decoder_session import Array, DecoderSession
from tests.export.tiny_models import CONFIGS, LONG_ROPE_CONTEXT, VOCABULARY, tiny_model

pytestmark = pytest.mark.transformers
PROMPT, STEPS = 16, 8
TOLERANCE = 1e-4  # of the largest logit


@pytest.fixture(scope="module", params=CONFIGS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any, Path]:
    model = tiny_model(request.param)
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    ir.save(trace_decoder(model), path)
    return request.param, model, path


def random_tokens(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(3, VOCABULARY, shape)


def reference(model: Any, tokens: Array) -> Array:
    """Logits of whole sequences without cache or padding."""
    with torch.no_grad():
        logits: Array = model(input_ids=torch.from_numpy(tokens), use_cache=False).logits.numpy()
    return logits


def assert_close(found: Array, wanted: Array) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("capacity", [0, 40])
def test_prefill_and_cached_steps(exported: tuple[str, Any, Path], capacity: int) -> None:
    _, model, path = exported
    tokens = random_tokens(1, PROMPT + STEPS)
    wanted = reference(model, tokens)
    session = DecoderSession(path, capacity=capacity)
    assert_close(session.step(tokens[:, :PROMPT]), wanted[:, :PROMPT])
    for end in range(PROMPT + 1, PROMPT + STEPS + 1):
        assert_close(session.step(tokens[:, end - 1 : end]), wanted[:, end - 1 : end])


def pad(rows: list[Array], left: bool) -> tuple[Array, Array]:
    """Tokens and mask ``[batch, longest]``; padding holds a token that would change the result if it were seen."""
    width = max(len(row) for row in rows)
    tokens, mask = np.full((len(rows), width), 7), np.zeros((len(rows), width), np.int64)
    for index, row in enumerate(rows):
        own = slice(width - len(row), None) if left else slice(len(row))
        tokens[index, own], mask[index, own] = row, 1
    return tokens, mask


@pytest.mark.parametrize("left", [True, False], ids=["left", "right"])
@pytest.mark.parametrize("capacity", [0, 40])
def test_rows_of_unequal_length(exported: tuple[str, Any, Path], left: bool, capacity: int) -> None:
    name, model, path = exported
    # All rows of a batch use the long factors once one does: both must be on the same side of the limit.
    lengths = (PROMPT, LONG_ROPE_CONTEXT + 2 if name == "phi3-longrope" else 5)
    rows = [random_tokens(length + STEPS, seed=length) for length in lengths]
    wanted = [reference(model, row[None])[0] for row in rows]
    session = DecoderSession(path, batch=2, capacity=capacity)
    tokens, mask = pad([row[:length] for row, length in zip(rows, lengths, strict=True)], left)
    logits = session.step(tokens, mask)
    for row, length in enumerate(lengths):
        assert_close(logits[row][mask[row] == 1], wanted[row][:length])
    for step in range(STEPS):
        logits = session.step(np.array([[row[length + step]] for row, length in zip(rows, lengths, strict=True)]))
        for row, length in enumerate(lengths):
            assert_close(logits[row], wanted[row][length + step : length + step + 1])


@pytest.mark.parametrize("capacity", [0, 40])
def test_prompt_in_pieces(exported: tuple[str, Any, Path], capacity: int) -> None:
    name, model, path = exported
    if name == "phi3-longrope":
        pytest.skip("keys cached with short factors stay short, in transformers as here")
    tokens = random_tokens(1, PROMPT)
    wanted = reference(model, tokens)
    session = DecoderSession(path, capacity=capacity)
    done = 0
    for end in (7, 10, 11, PROMPT):
        # The operator takes pieces of one row only; padding in them is allowed all the same.
        piece, mask = pad([tokens[0, done:end], np.zeros(end - done + 1, np.int64)], left=end == 10)
        assert_close(session.step(piece[:1], mask[:1])[:, mask[0] == 1], wanted[:, done:end])
        done = end


def test_long_rope_takes_the_short_factors_in_the_original_context(exported: tuple[str, Any, Path]) -> None:
    name, model, path = exported
    if name != "phi3-longrope":
        pytest.skip("LongRoPE only")
    tokens = random_tokens(1, LONG_ROPE_CONTEXT)
    wanted = reference(model, tokens)
    session = DecoderSession(path)
    assert_close(session.step(tokens[:, :8]), wanted[:, :8])
    assert_close(session.step(tokens[:, 8:]), wanted[:, 8:])


@pytest.mark.parametrize("keep", [0, 1, 5])
def test_last_logits_only(exported: tuple[str, Any, Path], keep: int) -> None:
    _, model, path = exported
    tokens = random_tokens(2, PROMPT)
    assert_close(DecoderSession(path, batch=2).step(tokens, keep=keep), reference(model, tokens)[:, -keep:])
