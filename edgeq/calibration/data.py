# SPDX-License-Identifier: Apache-2.0
"""Windows of calibration tokens, drawn from a file by a seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.calibration.sources import holds_token_ids, read_documents, read_token_ids
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.runtime.tokenizer import Tokenizer

DEFAULT_SAMPLES = 128
DEFAULT_LENGTH = 512
MIN_LENGTH = 8
# Positions that these models keep for padding, so that their context is shorter than their table.
RESERVED_POSITIONS = {"roberta": 2, "xlm-roberta": 2, "mpnet": 2}
DECODER_CLASSES = ("ForCausalLM", "LMHeadModel")


@dataclass(frozen=True)
class CalibrationData:
    """What a model reads while its inputs are observed.

    Attributes:
        ids: Token ids, int64 ``[samples, length]``.
        source: Name of the file.
        seed: What the windows were drawn with.
    """

    ids: NDArray[np.int64]
    source: str
    seed: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the token ids."""
        return hash_ids(self.ids)


def hash_ids(ids: NDArray[np.int64]) -> str:
    """SHA-256 of token ids, the same on every machine."""
    return hashlib.sha256(np.ascontiguousarray(ids).astype("<i8").tobytes()).hexdigest()


def read_calibration(
    checkpoint: Checkpoint, file: Path, samples: int = DEFAULT_SAMPLES, length: int | None = None, seed: int = 0
) -> CalibrationData:
    """Draws windows for a model.

    Texts are tokenized with the checkpoint's tokenizer and joined end to end; windows begin anywhere. Rows of token ids
    that are as long as a window are taken as they are.

    Args:
        checkpoint: The model.
        file: Text, JSON lines or token ids.
        samples: Windows; fewer where the file holds fewer different ones.
        length: Tokens per window; by default 512, or the model's context where that is shorter.
        seed: Of the random choice.

    Raises:
        EdgeqError: The file cannot be used (missing, empty, too short, not UTF-8, not JSON), a token is not in the
            model's vocabulary, a number is out of range, or the checkpoint has no tokenizer.
    """
    context = context_length(checkpoint.config)
    length = length if length is not None else min(DEFAULT_LENGTH, context)
    check_range("--samples", samples, 1, 1_000_000)
    check_range("--length", length, MIN_LENGTH, context)
    return WindowSource.open(checkpoint, file).draw(length, samples, seed)


@dataclass(frozen=True)
class WindowSource:
    """What windows are drawn from.

    Attributes:
        rows: Token ids of each text.
        prefix: What stands at the beginning of each window.
        suffix: What stands at its end.
        file: Where the texts came from.
    """

    rows: list[NDArray[np.int64]]
    prefix: list[int]
    suffix: list[int]
    file: Path

    @classmethod
    def open(cls, checkpoint: Checkpoint, file: Path) -> WindowSource:
        """Reads a file; errors as in `read_rows`."""
        prefix: list[int] = []
        suffix: list[int] = []
        if not holds_token_ids(file) and not is_decoder(checkpoint.config):
            prefix, suffix = _frame(Tokenizer.from_directory(checkpoint.directory))
        return cls(read_rows(checkpoint, file), prefix, suffix, file)

    def draw(self, length: int, samples: int, seed: int) -> CalibrationData:
        """At most so many windows of so many tokens.

        Raises:
            EdgeqError: There are not as many tokens.
        """
        inner = _draw(self.rows, length - len(self.prefix) - len(self.suffix), samples, seed, self.file)
        columns = [np.broadcast_to(np.asarray(p, np.int64), (len(inner), len(p))) for p in (self.prefix, self.suffix)]
        return CalibrationData(np.concatenate([columns[0], inner, columns[1]], 1), self.file.name, seed)

    def split(self, share: float) -> tuple[WindowSource, WindowSource]:
        """A first part with a share of the tokens, and the others; texts stay whole where there are several."""
        if len(self.rows) == 1:
            place = int(share * len(self.rows[0]))
            parts = [self.rows[0][:place]], [self.rows[0][place:]]
        else:
            ends = np.cumsum([len(row) for row in self.rows])
            kept = int((ends <= share * ends[-1]).sum())
            parts = self.rows[:kept], self.rows[kept:]
        return replace(self, rows=parts[0]), replace(self, rows=parts[1])

    @property
    def tokens(self) -> int:
        """How many there are."""
        return sum(map(len, self.rows))


def read_rows(checkpoint: Checkpoint, file: Path) -> list[NDArray[np.int64]]:
    """The token ids of each text of a file, with the special tokens that a decoder's tokenizer puts around a text.

    Raises:
        EdgeqError: The file cannot be used, a token is not in the vocabulary, or the checkpoint has no tokenizer.
    """
    if holds_token_ids(file):
        rows = read_token_ids(file)
    else:
        tokenizer, special = Tokenizer.from_directory(checkpoint.directory), is_decoder(checkpoint.config)
        rows = [np.asarray(tokenizer.encode(text, special=special), np.int64) for text in read_documents(file)]
    _check_vocabulary(rows, checkpoint.config, file)
    return rows


def context_length(config: dict[str, Any]) -> int:
    """The longest window that a model takes."""
    positions = config.get("max_position_embeddings") or config.get("n_positions") or DEFAULT_LENGTH
    return int(positions) - RESERVED_POSITIONS.get(str(config.get("model_type")), 0)


def _frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """What an encoder's tokenizer puts before and after a text, such as [CLS] and [SEP]."""
    special = tokenizer.encode("")
    return special[:1], special[1:]


def _draw(rows: list[NDArray[np.int64]], length: int, samples: int, seed: int, file: Path) -> NDArray[np.int64]:
    stream = np.concatenate(rows)
    if len(stream) < length:
        raise EdgeqError(
            "calibration too short",
            file=file,
            found=f"{len(stream)} tokens",
            wanted=f"at least {length}",
            remedy="give more text, or a shorter --length",
        )
    ready = all(len(row) == length for row in rows)
    starts = np.arange(0, len(stream) - length + 1, length if ready else 1)
    if len(starts) > samples:
        starts = np.sort(np.random.default_rng(seed).choice(starts, samples, replace=False))
    windows: NDArray[np.int64] = stream[starts[:, None] + np.arange(length)]
    return windows


def _check_vocabulary(rows: list[NDArray[np.int64]], config: dict[str, Any], file: Path) -> None:
    size = int(config.get("vocab_size", 0))
    for number, row in enumerate(rows):
        wrong = (row < 0) | (row >= size)
        if wrong.any():
            place = int(wrong.argmax())
            raise EdgeqError(
                "token out of range",
                file=file,
                field=f"row {number}, token {place}",
                found=int(row[place]),
                wanted=f"0 to {size - 1}",
                remedy="use token ids of this model's tokenizer",
            )


def check_range(option: str, value: int, low: int, high: int) -> None:
    """Refuses an option outside its range, ends included."""
    if not low <= value <= high:
        raise EdgeqError("out of range", field=option, found=value, wanted=f"{low} to {high}")


def is_decoder(config: dict[str, Any]) -> bool:
    """Whether a model generates text, by its configuration."""
    return any(str(name).endswith(DECODER_CLASSES) for name in config.get("architectures") or [])
