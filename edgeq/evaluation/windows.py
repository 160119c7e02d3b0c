# SPDX-License-Identifier: Apache-2.0
"""Cutting a text into the windows over which perplexity is computed.

The plain standard: the whole text is tokenized once, with the special tokens that the tokenizer adds around a text; its
token ids are cut into windows of N, one beside the next (stride N); a rest shorter than N is left out. Every window
stands alone: its first token is context only, the other N - 1 are predicted. Separators such as ``<|endoftext|>`` in
the text are what the tokenizer makes of them: one token if it is in its vocabulary, ordinary characters if not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.runtime.tokenizer import Tokenizer

DEFAULT_WINDOW = 512


@dataclass(frozen=True)
class Windows:
    """Windows of one text.

    Attributes:
        ids: Token ids, int64 ``[windows, length]``.
        bytes: UTF-8 bytes of the text that the predicted tokens of all windows cover.
    """

    ids: NDArray[np.int64]
    bytes: int

    @property
    def length(self) -> int:
        """Tokens per window."""
        return int(self.ids.shape[1])

    @property
    def predicted(self) -> int:
        """Predicted tokens in all."""
        return len(self.ids) * (self.length - 1)


def default_window(context_length: int) -> int:
    """512, or the model's context where that is shorter."""
    return min(DEFAULT_WINDOW, context_length)


def cut_windows(
    text: str,
    tokenizer: Tokenizer,
    length: int,
    context_length: int,
    count: int | None = None,
    tokens: int | None = None,
) -> Windows:
    """Cuts a text into windows.

    Args:
        text: The text.
        tokenizer: Turns it into tokens.
        length: Tokens per window.
        context_length: The longest window that the model takes.
        count: Windows at most; by default as many as the text has.
        tokens: Tokens of the text to use at most.

    Raises:
        EdgeqError: The length or a limit is out of range, or the text is shorter than one window.
    """
    if not 2 <= length <= context_length:
        raise EdgeqError(
            "window out of range", field="window", found=length, wanted=f"2 to {context_length} (the model's context)"
        )
    ids, ends = tokenizer.encode_with_ends(text)
    available = min(len(ids), tokens if tokens is not None else len(ids)) // length
    windows = min(available, count if count is not None else available)
    if windows < 1:
        raise EdgeqError("less than one window", field="text", found=f"{len(ids)} tokens", wanted=f"at least {length}")
    shape = (windows, length)
    last = ends[: windows * length].reshape(shape)
    return Windows(ids[: windows * length].reshape(shape), int((last[:, -1] - last[:, 0]).sum()))
