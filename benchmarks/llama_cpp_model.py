# SPDX-License-Identifier: Apache-2.0
"""llama.cpp behind the same interface as edgeq's decoder, through llama-cpp-python, for side-by-side measurements."""

from __future__ import annotations

import ctypes
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

BATCH = 512  # tokens of a prompt that are computed at once, as in llama-bench


class LlamaCppModel:
    """A GGUF file; only the logits of the last token of a call are computed, as in llama-bench."""

    def __init__(self, path: Path, context: int, threads: int) -> None:
        self._silence = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self._silence, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self._model:
            raise SystemExit(f"{path}: llama.cpp cannot load it")
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = context + 1
        options.n_batch = options.n_ubatch = BATCH
        options.n_threads = options.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, options)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))

    def reset(self) -> None:
        """Empties the KV cache."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), False)

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Runs the model on tokens after those before, and waits for the result."""
        for start in range(0, len(tokens), BATCH):
            piece = np.ascontiguousarray(tokens[start : start + BATCH], np.int32)
            pointer = piece.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token))
            if llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(pointer, len(piece))):
                raise SystemExit("llama.cpp cannot decode")
        llama_cpp.llama_synchronize(self._context)
