# SPDX-License-Identifier: Apache-2.0
"""The original model in PyTorch (eager attention, float32): what exported models are compared with.

The only module of this package that imports PyTorch; import it when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoModelForCausalLM

from edgeq.checkpoint import Checkpoint, resolve_model
from edgeq.errors import EdgeqError
from edgeq.runtime.encoder import DEFAULT_BATCH, encode_batches, pad
from edgeq.runtime.pooling import Pooling
from edgeq.runtime.tokenizer import Tokenizer

Floats = NDArray[np.float32]


def _load(directory: Path, kind: Any, threads: int | None) -> Any:
    Checkpoint(directory)  # damaged or unsafe weight files are told apart there
    if threads:
        torch.set_num_threads(threads)
    try:
        model = kind.from_pretrained(str(directory), dtype=torch.float32, attn_implementation="eager")
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise EdgeqError("transformers cannot load the model", file=directory, found=reason) from error
    return model.eval()


class ReferenceDecoder:
    """A causal language model as transformers runs it.

    Args:
        model: Checkpoint directory or hub id.
        chunk: Tokens per run; the cache carries over.
        threads: PyTorch's threads; its own default without.

    Attributes:
        tokenizer: Its tokenizer, ``None`` if the checkpoint has no ``tokenizer.json``.

    Raises:
        EdgeqError: There is no such model or it cannot be loaded.
    """

    def __init__(self, model: str, chunk: int = 512, threads: int | None = None) -> None:
        directory = resolve_model(model)
        self._model, self._chunk = _load(directory, AutoModelForCausalLM, threads), chunk
        has_tokenizer = (directory / "tokenizer.json").is_file()
        self.tokenizer = Tokenizer.from_directory(directory) if has_tokenizer else None

    @property
    def vocab_size(self) -> int:
        """Width of the logits."""
        return int(self._model.config.get_text_config().vocab_size)

    def logits_chunks(self, token_ids: Sequence[int]) -> Iterator[Floats]:
        """Logits ``[at most chunk, vocab]``, float32."""
        ids, cache = torch.tensor([list(token_ids)]), None
        for start in range(0, ids.shape[1], self._chunk):
            with torch.inference_mode():
                output = self._model(ids[:, start : start + self._chunk], past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            yield output.logits[0].float().numpy()


class ReferenceEncoder:
    """An encoder as transformers runs it, with the tokenizer and pooling of its exported form.

    Args:
        model: Checkpoint directory or hub id.
        encode_tokens: Text to token ids.
        pooling: Hidden states to a vector.
        threads: PyTorch's threads; its own default without.

    Raises:
        EdgeqError: There is no such model or it cannot be loaded.
    """

    def __init__(
        self, model: str, encode_tokens: Callable[[str], list[int]], pooling: Pooling, threads: int | None = None
    ) -> None:
        self._model = _load(resolve_model(model), AutoModel, threads)
        self._encode_tokens, self._pooling = encode_tokens, pooling

    def encode(self, texts: Sequence[str], batch_size: int = DEFAULT_BATCH) -> Floats:
        """Vectors ``[texts, width]``, float32."""
        return encode_batches([self._encode_tokens(text) for text in texts], batch_size, self._run)

    def _run(self, batch: list[list[int]]) -> Floats:
        ids, mask = pad(batch, self._model.config.pad_token_id or 0)
        with torch.inference_mode():
            output = self._model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
        return self._pooling(output.last_hidden_state.float().numpy(), mask)
