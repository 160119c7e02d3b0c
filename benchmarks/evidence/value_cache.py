# SPDX-License-Identifier: Apache-2.0
"""Values of the cache in 4 bits as PyTorch runs them, keys as floats: the V4 of arXiv 2311.05161.

Asymmetric from the least to the largest value. The paper says channel-wise; a scale per token and head is what a cache
that grows can have without calibration.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

# By scheme: the dimension of [batch, tokens, heads, size] whose values share a scale.
SHARED_BY = {"v4 by channel": 1, "v4 by token": 3}
BITS = 4
LAYER = "self_attn.v_proj"


@contextmanager
def rounding_values(model: Any, scheme: str) -> Iterator[None]:
    """The attention of a decoder reads rounded values as long as the context lasts.

    Args:
        model: A transformers decoder with layers ``self_attn.v_proj``.
        scheme: ``v4 by channel``: a scale for each channel over the tokens of a call; ``v4 by token``: for each token
            and head.
    """
    size = model.config.head_dim or model.config.hidden_size // model.config.num_attention_heads
    layers = [module for name, module in model.named_modules() if name.endswith(LAYER)]
    assert layers, "no values to round"

    def change(_: Any, __: Any, values: Tensor) -> Tensor:
        return round_range(values.unflatten(-1, (-1, size)), SHARED_BY[scheme]).flatten(-2)

    handles = [layer.register_forward_hook(change) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def round_range(x: Tensor, dim: int) -> Tensor:
    """Rounds to 2^4 levels from the least to the largest value along a dimension."""
    low, high = x.amin(dim, keepdim=True), x.amax(dim, keepdim=True)
    scale = (high - low) / (2**BITS - 1)
    return torch.where(scale > 0, ((x - low) / scale).round() * scale + low, x)
