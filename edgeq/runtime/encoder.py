# SPDX-License-Identifier: Apache-2.0
"""An encoder bundle: texts in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from edgeq.bundle.genai_config import read_json_as
from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError
from edgeq.runtime.pooling import Floats, Pooling
from edgeq.runtime.session import ORT_ERRORS
from edgeq.runtime.tokenizer import Tokenizer

DEFAULT_BATCH = 32
OUTPUT = "last_hidden_state"


class _Limits(BaseModel):
    """The field that limits the tokens of a text in each of `LIMIT_FILES`."""

    model_config = ConfigDict(extra="ignore")

    max_seq_length: int | None = None
    max_position_embeddings: int | None = None
    model_max_length: float | None = None  # written as 1e30 where there is no limit


LIMIT_FILES = ("sentence_bert_config.json", "config.json", "tokenizer_config.json")


class Encoder:
    """An encoder with its tokenizer and pooling.

    Args:
        bundle: An opened bundle of kind ``encoder``.
        session: A session on its graph.

    Attributes:
        bundle: The bundle.
        tokenizer: Its tokenizer.
        pooling: How hidden states become a vector.
        max_tokens: Longer texts are cut, as they are in sentence-transformers.
        load_seconds: How long loading took.

    Raises:
        EdgeqError: The graph is not an encoder's, or a file is wrong.
    """

    def __init__(self, bundle: Bundle, session: ort.InferenceSession) -> None:
        self.bundle, self._session = bundle, session
        self.tokenizer, self.pooling = Tokenizer.from_bundle(bundle), Pooling.from_bundle(bundle)
        self.max_tokens = max_tokens(bundle)
        self.load_seconds = 0.0
        self._inputs = [tensor.name for tensor in session.get_inputs()]
        known = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
        outputs = [tensor.name for tensor in session.get_outputs()]
        if not {"input_ids", "attention_mask"} <= set(self._inputs) <= known or OUTPUT not in outputs:
            raise EdgeqError(
                "not an encoder graph",
                file=bundle.model_path,
                found=f"{self._inputs} -> {outputs}",
                wanted=f"{sorted(known)} -> {OUTPUT}",
            )
        padding = self.tokenizer.config.special_token("pad_token")
        self._pad_id = (self.tokenizer.backend.token_to_id(padding) if padding else None) or 0
        if self.max_tokens:
            self.tokenizer.backend.enable_truncation(self.max_tokens)

    def encode(self, texts: Sequence[str], batch_size: int = DEFAULT_BATCH) -> Floats:
        """Vectors ``[texts, width]``, float32.

        Args:
            texts: At least one.
            batch_size: Texts per run; texts of similar length run together.

        Raises:
            EdgeqError: There is no text, or the graph does not run.
        """
        if isinstance(texts, str) or not texts:
            raise EdgeqError("no texts", field="texts", wanted="a list with at least one text")
        return encode_batches([self.tokenizer.encode(text) for text in texts], batch_size, self._run)

    def _run(self, batch: list[list[int]]) -> Floats:
        ids, mask = pad(batch, self._pad_id)
        positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        values = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": positions,
        }
        try:
            hidden = self._session.run([OUTPUT], {name: values[name] for name in self._inputs})[0]
        except ORT_ERRORS as error:
            raise EdgeqError(
                "the graph does not run", file=self.bundle.model_path, found=str(error).strip()[:400]
            ) from error
        return self.pooling(np.asarray(hidden, np.float32), mask)


def encode_batches(tokens: Sequence[list[int]], batch_size: int, run: Callable[[list[list[int]]], Floats]) -> Floats:
    """Vectors ``[texts, width]`` of tokenized texts; those of similar length run together, so that little is padded."""
    order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
    vectors: list[Floats] = [np.empty(0, np.float32)] * len(tokens)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        for index, vector in zip(batch, run([tokens[index] for index in batch]), strict=True):
            vectors[index] = vector
    return np.stack(vectors)


def pad(batch: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids, padded on the right, and their mask, ``[batch, longest]``."""
    ids = np.full((len(batch), max(1, *map(len, batch))), pad_id, np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


def max_tokens(bundle: Bundle) -> int | None:
    """Tokens of a text that an encoder reads at most; ``None`` where its files state no limit."""
    files = [file for name in LIMIT_FILES if (file := bundle.file(name))]
    found = [read_json_as(file, _Limits) for file in files]
    limits = [int(limit) for entry in found for limit in entry.model_dump().values() if limit]
    return min(limits, default=None)
