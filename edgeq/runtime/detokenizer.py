# SPDX-License-Identifier: Apache-2.0
"""Text from tokens as they come, never splitting a character."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.runtime.tokenizer import Tokenizer

REPLACEMENT = "\ufffd"  # what decoders write for bytes that are no character, or not yet
# An unfinished character has at most 3 bytes; some decoders write a replacement for each of them, others one for all.
MAX_UNFINISHED = 3
CONTEXT_TOKENS = 8
MAX_PENDING = 32  # a model that writes endless invalid bytes shall not make the window grow


class Detokenizer:
    """Decodes token by token.

    The text of new tokens is the difference of two decodings of the same few tokens, with and without the new ones:
    right for every decoder whose text depends on neighbours (spaces at the start, bytes that make a character).

    Args:
        tokenizer: The tokenizer.
        context: Tokens before the first one, so that its leading space is known to be inside a text.
    """

    def __init__(self, tokenizer: Tokenizer, context: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._tokens = list(context[-CONTEXT_TOKENS:])
        self._decoded = len(self._tokens)  # tokens whose text is complete
        self._sent = 0  # characters already given out of the tokens after those

    def feed(self, token: int) -> str:
        """The text that is certain after one more token, possibly empty."""
        self._tokens.append(token)
        text = self._pending_text()
        unfinished = len(text) - len(text.rstrip(REPLACEMENT))
        if unfinished and len(self._tokens) - self._decoded < MAX_PENDING:
            certain = text[: len(text) - min(unfinished, MAX_UNFINISHED)]
            new, self._sent = certain[self._sent :], max(self._sent, len(certain))
            return new
        return self._finish(text)

    def flush(self) -> str:
        """What is still held back: the replacement of a character that was never finished."""
        return self._finish(self._pending_text())

    def _pending_text(self) -> str:
        before, after = self._tokenizer.decode(self._tokens[: self._decoded]), self._tokenizer.decode(self._tokens)
        if after.startswith(before):
            return after[len(before) :]
        # One bad byte can spoil the valid ones before it in the same run: then the new tokens speak for themselves.
        return self._tokenizer.decode(self._tokens[self._decoded :])

    def _finish(self, text: str) -> str:
        if text:  # tokens without text, such as special ones, give no context
            self._tokens = self._tokens[self._decoded :]
        self._decoded = len(self._tokens)
        new, self._sent = text[self._sent :], 0
        return new
