# SPDX-License-Identifier: Apache-2.0
"""Text to token ids and back, from ``tokenizer.json`` and ``tokenizer_config.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from tokenizers import Encoding
from tokenizers import Tokenizer as Backend

from edgeq.bundle.genai_config import read_json_as
from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError

TOKENIZER_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"


class TokenizerConfig(BaseModel):
    """The fields of ``tokenizer_config.json`` that matter; special tokens are strings or objects with a ``content``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    add_bos_token: bool | None = None
    bos_token: str | dict[str, Any] | None = None
    eos_token: str | dict[str, Any] | None = None
    unk_token: str | dict[str, Any] | None = None
    pad_token: str | dict[str, Any] | None = None
    chat_template: str | list[dict[str, str]] | None = None

    def special_token(self, name: str) -> str | None:
        """The text of ``bos_token``, ``eos_token``, ``unk_token`` or ``pad_token``."""
        token = getattr(self, name)
        return str(token.get("content")) if isinstance(token, dict) else token


class Tokenizer:
    """A fast tokenizer without truncation or padding.

    Args:
        file: ``tokenizer.json``.
        config: ``tokenizer_config.json``.

    Raises:
        EdgeqError: The file cannot be read.
    """

    def __init__(self, file: Path, config: TokenizerConfig | None = None) -> None:
        self.config = config or TokenizerConfig()
        try:
            self.backend = Backend.from_file(str(file))
        except Exception as error:  # the library raises plain Exception
            raise EdgeqError(
                "cannot read tokenizer", file=file, found=error, remedy="copy or download it again"
            ) from error
        self.backend.no_truncation()
        self.backend.no_padding()
        bos = self.config.special_token("bos_token")
        self.bos_id = self.backend.token_to_id(bos) if bos else None

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Tokenizer:
        """The tokenizer of a bundle.

        Raises:
            EdgeqError: It has none, or a file of it cannot be read.
        """
        file, config = bundle.file(TOKENIZER_NAME), bundle.file(CONFIG_NAME)
        if file is None:
            raise EdgeqError(
                "bundle without tokenizer",
                file=bundle.directory,
                wanted=TOKENIZER_NAME,
                remedy="put it beside the model and export again",
            )
        return cls(file, read_json_as(config, TokenizerConfig) if config else None)

    @classmethod
    def from_directory(cls, directory: Path) -> Tokenizer:
        """The tokenizer of a checkpoint.

        Raises:
            EdgeqError: It has no ``tokenizer.json``, or a file cannot be read.
        """
        file, config = directory / TOKENIZER_NAME, directory / CONFIG_NAME
        if not file.is_file():
            raise EdgeqError(
                "no fast tokenizer",
                file=directory,
                wanted=TOKENIZER_NAME,
                remedy="transformers' AutoTokenizer.from_pretrained(...).save_pretrained(...) writes one",
            )
        return cls(file, read_json_as(config, TokenizerConfig) if config.is_file() else None)

    @property
    def vocab_size(self) -> int:
        """One more than the highest token id."""
        return max(self.backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids of a text.

        Args:
            text: Any text; special tokens written in it become their ids.
            special: Add what the tokenizer adds around a text, such as a beginning-of-sequence token.
        """
        return list(self._adjust_bos(self.backend.encode(text, add_special_tokens=special).ids, special))

    def encode_with_ends(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Token ids, and where in the text's UTF-8 bytes each token ends.

        A token that adds no text, such as a special one, ends where the last did.
        """
        encoding = self.backend.encode(text, add_special_tokens=True)
        ids = np.asarray(encoding.ids, np.int64)
        ends = np.maximum.accumulate(_byte_ends(text, encoding)) if len(ids) else np.zeros(0, np.int64)
        adjusted = np.asarray(self._adjust_bos(encoding.ids, special=True), np.int64)
        if len(adjusted) > len(ids):
            ends = np.concatenate([[0], ends])
        return adjusted, ends

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of token ids."""
        return str(self.backend.decode(list(ids), skip_special_tokens=skip_special))

    def _adjust_bos(self, ids: list[int], special: bool) -> list[int]:
        # Older checkpoints say it in the configuration only; the post-processor alone does not know.
        if not special or self.bos_id is None or self.config.add_bos_token is None:
            return ids
        has_bos = ids[:1] == [self.bos_id]
        if self.config.add_bos_token and not has_bos:
            return [self.bos_id, *ids]
        return ids


def _byte_ends(text: str, encoding: Encoding) -> NDArray[np.int64]:
    code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    widths = 1 + sum((code_points > limit).astype(np.int64) for limit in (0x7F, 0x7FF, 0xFFFF))
    bytes_before = np.concatenate([[0], np.cumsum(widths)])
    ends = np.fromiter((end for _, end in encoding.offsets), np.int64, len(encoding.ids))
    result: NDArray[np.int64] = bytes_before[ends]
    return result
