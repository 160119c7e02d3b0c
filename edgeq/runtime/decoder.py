# SPDX-License-Identifier: Apache-2.0
"""Running a decoder graph: tokens in, logits out, keys and values kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgeq.bundle.genai_config import GenaiConfig
from edgeq.errors import EdgeqError
from edgeq.runtime.graph_check import check_graph
from edgeq.runtime.kv_cache import bind_array, cache_names, make_cache
from edgeq.runtime.session import ORT_ERRORS

# Prompt tokens per run. GroupQueryAttention computes the scores of a whole square of new tokens, masked or not, and
# activations of few tokens stay in the caches: measured, a prompt of 512 takes 20 % less time in pieces of 64.
DEFAULT_CHUNK = 64
KEEP = "num_logits_to_keep"  # optional input of edgeq's graphs: 0 for all logits, n for those of the last n tokens
LOGITS_BYTES = 128 << 20  # a chunk's logits stay below this: 512 tokens of a 152k vocabulary would take 311 MB
TokenIds = NDArray[np.int64]
Logits = NDArray[np.float32]


class DecoderGraph:
    """A decoder session with its cache, for one sequence at a time; not to be shared between threads.

    Args:
        session: The graph.
        config: Its tensor names and shapes.
        file: The bundle, for errors.
        chunk: Prompt tokens per run.

    Attributes:
        vocab_size: Width of the logits.
        context_length: Tokens that the model can hold.
        cache: Keys and values of the sequence so far.
        chunk: Tokens per run when only the last logits are wanted.
        logits_chunk: Tokens per run when all logits are: fewer where they would exceed `LOGITS_BYTES`.

    Raises:
        EdgeqError: The graph lacks a tensor that the configuration names, or has another shape.
    """

    def __init__(
        self, session: ort.InferenceSession, config: GenaiConfig, file: Path, chunk: int = DEFAULT_CHUNK
    ) -> None:
        check_graph(session, config, file)
        self._session, self._names, self._file = session, config.model.decoder, file
        self.vocab_size, self.context_length = config.model.vocab_size, config.model.context_length
        self.sequence = 0
        past = next(tensor for tensor in session.get_inputs() if tensor.name == cache_names(self._names)[0][0])
        self.cache = make_cache(self._names, past.type, shared=config.search.past_present_share_buffer)
        self.chunk = min(chunk, self.context_length)
        self.logits_chunk = max(1, min(self.chunk, LOGITS_BYTES // (4 * self.vocab_size)))
        self._can_keep = KEEP in {tensor.name for tensor in session.get_overridable_initializers()}
        self._binding = session.io_binding()
        self._ids, self._positions = np.zeros((2, 1, self.chunk), np.int64)
        self._mask = np.ones((1, self.context_length), np.int64)
        self._keep = {count: np.array(count, np.int64) for count in (0, 1)}
        self._logits: Logits = np.empty((1, 0, self.vocab_size), np.float32)
        self._bound: tuple[int, bool] | None = None

    def begin(self, keep: int, capacity: int) -> int:
        """Starts a sequence: keeps ``keep`` tokens of the last one, makes room for ``capacity`` in all; its number."""
        self.cache.truncate(keep)
        self.cache.reserve(capacity)
        self.sequence += 1
        return self.sequence

    def run(self, tokens: TokenIds | list[int]) -> Iterator[Logits]:
        """Appends tokens; yields the logits ``[at most logits_chunk, vocab]`` of each chunk.

        What is yielded is a view of one buffer, good until the next step.

        Raises:
            EdgeqError: The sequence would exceed the model's context.
        """
        for chunk in self._chunks(tokens, self.logits_chunk):
            yield self._step(chunk, last_only=False)

    def last_logits(self, tokens: TokenIds | list[int]) -> Logits:
        """Appends tokens; the logits ``[vocab]`` of the last one, as a view.

        Where the graph can leave the other logits out (input ``num_logits_to_keep``), they are not computed.

        Raises:
            EdgeqError: There is no token, or the sequence would exceed the model's context.
        """
        size = self.chunk if self._can_keep else self.logits_chunk
        *_, logits = (self._step(chunk, last_only=self._can_keep) for chunk in self._chunks(tokens, size))
        row: Logits = logits[-1]
        return row

    def _chunks(self, tokens: TokenIds | list[int], size: int) -> Iterator[TokenIds]:
        tokens = np.asarray(tokens, np.int64)
        total = self.cache.length + len(tokens)
        if not len(tokens) or total > self.context_length:
            wanted = f"1 to {self.context_length}"
            raise EdgeqError("sequence out of range", file=self._file, found=f"{total} tokens", wanted=wanted)
        return (tokens[start : start + size] for start in range(0, len(tokens), size))

    def _step(self, tokens: TokenIds, *, last_only: bool) -> Logits:
        count, past = len(tokens), self.cache.length
        self._ids[:, :count] = tokens
        self._positions[:, :count] = np.arange(past, past + count)
        rows = 1 if last_only else count
        if self._logits.shape[1] < rows:
            self._logits, self._bound = np.empty((1, rows, self.vocab_size), np.float32), None
        logits: Logits = self._logits[:, :rows]
        self._bind(count, past, logits, last_only=last_only)
        try:
            self._session.run_with_iobinding(self._binding)
        except ORT_ERRORS as error:
            raise EdgeqError("the graph does not run", file=self._file, found=str(error).strip()[:400]) from error
        self.cache.advance(self._binding, count)
        return logits.reshape(rows, self.vocab_size)

    def _bind(self, count: int, past: int, logits: Logits, *, last_only: bool) -> None:
        inputs, binding = self._names.inputs, self._binding
        bind_array(binding, inputs.attention_mask, self._mask[:, : past + count])
        # From one token to the next only the mask grows. The weights of a step have emptied the caches, so that every
        # line of Python left out saves microseconds.
        if self._bound != (count, last_only):
            self._bind_buffers(count, logits, last_only=last_only)
            self._bound = count, last_only
        self.cache.bind(binding)

    def _bind_buffers(self, count: int, logits: Logits, *, last_only: bool) -> None:
        inputs, binding = self._names.inputs, self._binding
        bind_array(binding, inputs.input_ids, self._ids[:, :count])
        if inputs.position_ids is not None:
            bind_array(binding, inputs.position_ids, self._positions[:, :count])
        if self._can_keep:
            bind_array(binding, KEEP, self._keep[int(last_only)])
        bind_array(binding, self._names.outputs.logits, logits, output=True)
