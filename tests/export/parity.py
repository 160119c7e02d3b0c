# SPDX-License-Identifier: Apache-2.0
"""Comparisons of an exported decoder with the PyTorch model it came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.export.decoder_session import Array, DecoderSession
from tests.export.tiny_models import VOCABULARY

PROMPT, STEPS = 16, 8
TOLERANCE = 1e-4  # of the largest logit


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


def pad(rows: list[Array], left: bool) -> tuple[Array, Array]:
    """Tokens and mask ``[batch, longest]``; padding holds a token that would change the result if it were seen."""
    width = max(len(row) for row in rows)
    tokens, mask = np.full((len(rows), width), 7), np.zeros((len(rows), width), np.int64)
    for index, row in enumerate(rows):
        own = slice(width - len(row), None) if left else slice(len(row))
        tokens[index, own], mask[index, own] = row, 1
    return tokens, mask


def check_cached_steps(model: Any, session: DecoderSession) -> None:
    """A prompt and steps of one token."""
    tokens = random_tokens(1, PROMPT + STEPS)
    wanted = reference(model, tokens)
    assert_close(session.step(tokens[:, :PROMPT]), wanted[:, :PROMPT])
    for end in range(PROMPT + 1, PROMPT + STEPS + 1):
        assert_close(session.step(tokens[:, end - 1 : end]), wanted[:, end - 1 : end])


def check_unequal_rows(model: Any, session: DecoderSession, lengths: tuple[int, ...], left: bool) -> None:
    """Prompts of unequal lengths and steps of one token, each row as if it were alone."""
    rows = [random_tokens(length + STEPS, seed=length) for length in lengths]
    wanted = [reference(model, row[None])[0] for row in rows]
    tokens, mask = pad([row[:length] for row, length in zip(rows, lengths, strict=True)], left)
    logits = session.step(tokens, mask)
    for row, length in enumerate(lengths):
        assert_close(logits[row][mask[row] == 1], wanted[row][:length])
    for step in range(STEPS):
        logits = session.step(np.array([[row[length + step]] for row, length in zip(rows, lengths, strict=True)]))
        for row, length in enumerate(lengths):
            assert_close(logits[row], wanted[row][length + step : length + step + 1])
