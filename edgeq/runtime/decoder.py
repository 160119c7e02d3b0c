# SPDX-License-Identifier: Apache-2.0
"""Running a decoder graph: tokens in, logits out, keys and values kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgeq.bundle.genai_config import GENAI_CONFIG_NAME, GenaiConfig
from edgeq.errors import EdgeqError
from edgeq.runtime.kv_cache import bind_array, cache_names, make_cache
from edgeq.runtime.session import ORT_ERRORS

DEFAULT_CHUNK = 512
LOGITS_BYTES = 128 << 20  # a chunk's logits stay below this: 512 tokens of a 152k vocabulary would take 311 MB
TokenIds = NDArray[np.int64]
Logits = NDArray[np.float32]


class DecoderGraph:
    """A decoder session with its cache, for one sequence at a time; not to be shared between threads.

    Args:
        session: The graph.
        config: Its tensor names and shapes.
        file: The bundle, for errors.
        chunk: Prompt tokens per run; less where their logits would exceed `LOGITS_BYTES`.

    Raises:
        EdgeqError: The graph lacks a tensor that the configuration names, or has another shape.
    """

    def __init__(
        self, session: ort.InferenceSession, config: GenaiConfig, file: Path, chunk: int = DEFAULT_CHUNK
    ) -> None:
        self._session, self._names, self._file = session, config.model.decoder, file
        self.vocab_size, self.context_length = config.model.vocab_size, config.model.context_length
        self.sequence = 0
        self._check_graph()
        past = next(tensor for tensor in session.get_inputs() if tensor.name == cache_names(self._names)[0][0])
        self.cache = make_cache(self._names, past.type, shared=config.search.past_present_share_buffer)
        self.chunk = max(1, min(chunk, self.context_length, LOGITS_BYTES // (4 * self.vocab_size)))
        self._binding = session.io_binding()
        self._ids, self._positions = np.zeros((2, 1, self.chunk), np.int64)
        self._mask = np.ones((1, self.context_length), np.int64)
        self._logits: Logits = np.empty((1, 0, self.vocab_size), np.float32)

    def begin(self, keep: int, capacity: int) -> int:
        """Starts a sequence: keeps ``keep`` tokens of the last one, makes room for ``capacity`` in all; its number."""
        self.cache.truncate(keep)
        self.cache.reserve(capacity)
        self.sequence += 1
        return self.sequence

    def run(self, tokens: TokenIds | list[int]) -> Iterator[Logits]:
        """Appends tokens; yields the logits ``[tokens, vocab]`` of each chunk.

        What is yielded is a view of one buffer, good until the next step.

        Raises:
            EdgeqError: The sequence would exceed the model's context.
        """
        tokens = np.asarray(tokens, np.int64)
        total = self.cache.length + len(tokens)
        if total > self.context_length:
            raise EdgeqError(
                "sequence too long", file=self._file, found=f"{total} tokens", wanted=f"at most {self.context_length}"
            )
        for start in range(0, len(tokens), self.chunk):
            yield self._step(tokens[start : start + self.chunk])

    def last_logits(self, tokens: TokenIds | list[int]) -> Logits:
        """Appends tokens; the logits ``[vocab]`` of the last one, as a view."""
        *_, last = self.run(tokens)
        row: Logits = last[-1]
        return row

    def _step(self, tokens: TokenIds) -> Logits:
        count, past = len(tokens), self.cache.length
        self._ids[:, :count] = tokens
        self._positions[:, :count] = np.arange(past, past + count)
        if self._logits.shape[1] < count:
            self._logits = np.empty((1, count, self.vocab_size), np.float32)
        logits: Logits = self._logits[:, :count]
        inputs, binding = self._names.inputs, self._binding
        bind_array(binding, inputs.input_ids, self._ids[:, :count])
        bind_array(binding, inputs.attention_mask, self._mask[:, : past + count])
        if inputs.position_ids is not None:
            bind_array(binding, inputs.position_ids, self._positions[:, :count])
        bind_array(binding, self._names.outputs.logits, logits, output=True)
        self.cache.bind(binding)
        try:
            self._session.run_with_iobinding(binding)
        except ORT_ERRORS as error:
            raise EdgeqError("the graph does not run", file=self._file, found=str(error).strip()[:400]) from error
        self.cache.advance(binding, count)
        return logits.reshape(count, self.vocab_size)

    def _check_graph(self) -> None:
        inputs = {tensor.name: tensor for tensor in self._session.get_inputs()}
        outputs = {tensor.name: tensor for tensor in self._session.get_outputs()}
        names, caches = self._names, cache_names(self._names)
        wanted = [names.inputs.input_ids, names.inputs.attention_mask, *(past for past, _ in caches)]
        wanted += [names.inputs.position_ids] if names.inputs.position_ids else []
        self._check_names("model.decoder.inputs", wanted, list(inputs))
        self._check_names(
            "model.decoder.outputs", [names.outputs.logits, *(present for _, present in caches)], list(outputs)
        )
        if extra := sorted(set(inputs) - set(wanted)):
            self._fail("model.decoder.inputs", f"a further input {extra[0]}", "every input of the graph to be named")
        shape = [1, names.num_key_value_heads, None, names.head_size]
        for past, _ in caches:
            self._check_shape(past, inputs[past].shape, shape)
        self._check_shape(names.outputs.logits, outputs[names.outputs.logits].shape, [1, None, self.vocab_size])

    def _check_names(self, field: str, wanted: list[str], found: list[str]) -> None:
        for name in wanted:
            if name not in found:
                self._fail(field, f"no {name} in the graph", "a tensor of the graph")

    def _check_shape(self, name: str, found: list[int | str | None], wanted: list[int | None]) -> None:
        fits = len(found) == len(wanted) and all(
            not isinstance(have, int) or want is None or have == want for have, want in zip(found, wanted, strict=True)
        )
        if not fits:
            self._fail(name, f"shape {found}", f"shape {wanted}")

    def _fail(self, field: str, found: str, wanted: str) -> None:
        raise EdgeqError(
            "graph and configuration disagree",
            file=self._file / GENAI_CONFIG_NAME,
            field=field,
            found=found,
            wanted=wanted,
        )
