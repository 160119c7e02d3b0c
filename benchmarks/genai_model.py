# SPDX-License-Identifier: Apache-2.0
"""onnxruntime-genai behind the same interface as edgeq's decoder, for side-by-side measurements."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime_genai as og
from numpy.typing import NDArray


class GenaiModel:
    """A directory that onnxruntime-genai's builder made; tokens go in through ``Generator.append_tokens``.

    Appending one token runs the model once, as ``generate_next_token`` does, but without the sampling.
    """

    def __init__(self, path: Path, context: int, threads: int) -> None:
        config = og.Config(str(path))
        options = {"intra_op_num_threads": threads}
        config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
        self._model, self._capacity = og.Model(config), context
        self.vocabulary = json.loads((path / "genai_config.json").read_text(encoding="utf-8"))["model"]["vocab_size"]

    def reset(self) -> None:
        """Starts a new sequence; its KV cache is made here, not in the timed part."""
        parameters = og.GeneratorParams(self._model)
        parameters.set_search_options(max_length=self._capacity + 1, batch_size=1)
        self._generator = og.Generator(self._model, parameters)

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Runs the model on tokens after those before."""
        self._generator.append_tokens(tokens.astype(np.int32))
