# SPDX-License-Identifier: Apache-2.0
"""Padding: rows of unequal lengths under an operator that knows only a length per row.

GroupQueryAttention lets row b attend to its first ``seqlens_k[b] + 1`` cached tokens, so a row's own tokens must come
first. The new tokens of each row are therefore put in front of its padding on the way in, and the hidden states taken
from there on the way out. The keys and values of padding land behind the row's own, where the next step overwrites
them. Left padding, right padding and padding in between then mean what they mean in transformers; what is computed at
the padding itself means nothing.

Measured against no support at all (4 layers, width 256 and 1024, batch 1): within 2 % for prompts, +15 µs per step;
an attention bias in place of it cost up to 15 % for prompts after 1500 cached tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LAST = 2**63 - 1  # an end that Slice takes for "up to the end"


@dataclass(frozen=True)
class RowOrder:
    """The new tokens of each row, own ones first.

    Attributes:
        order: int64 ``[batch, new]``, where the tokens come from.
        places: int64 ``[batch, new]``, where each own token went.
        seqlens_k: int32 ``[batch]``, the operator's input of that name. Padding counts as if it came last.
    """

    order: Tensor
    places: Tensor
    seqlens_k: Tensor

    @classmethod
    def of(cls, attention_mask: Tensor, new: int) -> RowOrder:
        """The order for a mask int64 ``[batch, total]`` of ones and zeros; its last ``new`` columns are new."""
        batch = attention_mask.shape[0]
        size = torch.full((1,), new, dtype=torch.int64)
        cached = _slice(attention_mask, _vector(0), -size, (batch, attention_mask.shape[1] - new))
        fresh = _slice(attention_mask, -size, _vector(LAST), (batch, new))
        # TopK puts equal values in the order of their indices (ONNX specification).
        order = torch.onnx.ops.symbolic_multi_out(
            "TopK", (fresh, size), {"axis": 1}, dtypes=(torch.int64,) * 2, shapes=((batch, new),) * 2
        )[1]
        seqlens_k = (cached.sum(1) + (size - 1)).to(torch.int32)
        return cls(order, (fresh.cumsum(1) - 1).clamp(min=0), seqlens_k)

    def arrange(self, tokens: Tensor) -> Tensor:
        """``[batch, new]``, own tokens first."""
        return tokens.gather(1, self.order)

    def restore(self, hidden: Tensor, keep: Tensor) -> Tensor:
        """``[batch, new, width]`` to where the tokens came from; the last ``keep`` of them, all where it is 0."""
        batch, new, width = hidden.shape
        places = _slice(self.places, -keep.reshape(1), _vector(LAST), (batch, new))
        return _emit("GatherND", (hidden, places[..., None]), {"batch_dims": 1}, hidden.dtype, (batch, new, width))


def _slice(tensor: Tensor, start: Tensor, end: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Columns ``start`` to ``end``."""
    return _emit("Slice", (tensor, start, end, _vector(1)), {}, tensor.dtype, shape)


def _emit(
    operator: str,
    inputs: tuple[Tensor, ...],
    attributes: dict[str, Any],
    dtype: torch.dtype,
    shape: tuple[int, ...],
) -> Tensor:
    return torch.onnx.ops.symbolic(operator, inputs, attributes, dtype=dtype, shape=shape)


def _vector(value: int) -> Tensor:
    return torch.tensor([value], dtype=torch.int64)
