# SPDX-License-Identifier: Apache-2.0
"""Windows of a text in an order that the seed and the number of windows read decide: nothing else has to be kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeq.calibration.data import DEFAULT_LENGTH, context_length, hash_ids, read_rows
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError

Ids = NDArray[np.int64]
VALIDATION_WINDOWS = 32


@dataclass(frozen=True)
class TokenStream:
    """The tokens of a text.

    Attributes:
        ids: int64 ``[tokens]``.
        source: Name of the file.
    """

    ids: Ids
    source: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the token ids."""
        return hash_ids(self.ids)


def read_stream(checkpoint: Checkpoint, file: Path, least: int) -> TokenStream:
    """The tokens of a text, of JSON lines or of a file of token ids, joined end to end.

    Raises:
        EdgeqError: The file cannot be used, or holds fewer tokens than ``least``.
    """
    ids = np.concatenate(read_rows(checkpoint, file))
    if len(ids) < least:
        raise EdgeqError(
            "text too short",
            file=file,
            found=f"{len(ids)} tokens",
            wanted=f"at least {least}",
            remedy="give more text, or a shorter --length",
        )
    return TokenStream(ids, file.name)


def window_length(checkpoint: Checkpoint, length: int | None) -> int:
    """Tokens per window.

    Raises:
        EdgeqError: The model takes fewer.
    """
    context = context_length(checkpoint.config)
    if length is not None and length > context:
        raise EdgeqError("out of range", field="--length", found=length, wanted=f"2 to {context}, the model's context")
    return length or min(DEFAULT_LENGTH, context)


@dataclass(frozen=True)
class Texts:
    """What a model learns from.

    Attributes:
        training: The text.
        validation: The held-out text, if there is one.
        length: Tokens per window.
    """

    training: TokenStream
    validation: TokenStream | None
    length: int

    @classmethod
    def read(cls, checkpoint: Checkpoint, training: Path, validation: Path | None, length: int | None) -> Texts:
        """Reads the files; the length is the default's where none is given.

        Raises:
            EdgeqError: A file cannot be used or is shorter than a window, or the model takes no such windows.
        """
        length = window_length(checkpoint, length)
        text = read_stream(checkpoint, training, length)
        return cls(text, None if validation is None else read_stream(checkpoint, validation, length), length)


class Windows:
    """Windows of a stream, epoch after epoch.

    In each epoch the windows lie side by side from another start, and come in another order.

    Args:
        stream: The text.
        length: Tokens per window.
        seed: Of starts and orders.
    """

    def __init__(self, stream: TokenStream, length: int, seed: int) -> None:
        self.stream, self.length, self.seed = stream, length, seed
        # The latest start must leave as many windows as the earliest.
        self.per_epoch = max(1, (len(stream.ids) - length + 1) // length)
        self._order = lru_cache(maxsize=2)(self._draw)

    def batch(self, position: int, count: int) -> Tensor:
        """The windows from a position on, int64 ``[count, length]``."""
        return torch.from_numpy(np.stack([self._window(position + index) for index in range(count)]))

    def _window(self, position: int) -> Ids:
        epoch, index = divmod(position, self.per_epoch)
        start = self._order(epoch)[index]
        return self.stream.ids[start : start + self.length]

    def _draw(self, epoch: int) -> Ids:
        random = np.random.default_rng([self.seed, epoch])
        room = len(self.stream.ids) - self.per_epoch * self.length
        offset = int(random.integers(min(self.length, room + 1)))
        starts: Ids = offset + self.length * random.permutation(self.per_epoch)
        return starts


def validation_windows(stream: TokenStream, length: int) -> Tensor:
    """The first windows of a stream, side by side, int64 ``[at most 32, length]``."""
    count = min(VALIDATION_WINDOWS, len(stream.ids) // length)
    return torch.from_numpy(stream.ids[: count * length].reshape(count, length))
