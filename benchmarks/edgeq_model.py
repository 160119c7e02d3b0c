# SPDX-License-Identifier: Apache-2.0
"""Bundles of edgeq behind the same interface as the other runtimes' models, for side-by-side measurements."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeq.bundle.reader import open_bundle
from edgeq.runtime.loading import load_decoder
from edgeq.runtime.session import open_session


class EdgeqDecoder:
    """A decoder; only the last token's logits are computed, as in generation and in llama-bench."""

    def __init__(self, path: Path, context: int, threads: int) -> None:
        model = load_decoder(path, threads, verify=False)
        self._graph, self._capacity, self.vocabulary = model.graph, context, model.vocab_size

    def reset(self) -> None:
        """Empties the context and makes room for the test."""
        self._graph.begin(0, self._capacity)

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Appends tokens."""
        self._graph.last_logits(tokens)


class EdgeqEncoder:
    """An encoder, fed with one sentence of token ids at a time."""

    vocabulary = 1000  # ids below it; which ones does not matter

    def __init__(self, path: Path, context: int, threads: int) -> None:
        self._session = open_session(open_bundle(path, verify=False), threads)

    def reset(self) -> None:
        """Sentences do not depend on each other."""

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Computes the hidden states of one sentence."""
        ids = tokens[None]
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        self._session.run(None, {tensor.name: feeds[tensor.name] for tensor in self._session.get_inputs()})
