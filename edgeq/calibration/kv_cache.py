# SPDX-License-Identifier: Apache-2.0
"""Scales of the key-value cache from what a model caches of calibration text."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.kv_cache import CacheBits, CacheScales

TOKENS = 8192  # as many are read at most, the first ones
BATCH = 2048  # tokens at once
# Shares of the largest magnitude that 4 bits may span; the one with the least squared error is chosen.
RATIOS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
LEAST = 1e-9  # scale of a channel that is always zero

Parts = list[Tensor]


def observe_cache(model: Any, ids: NDArray[np.int64], bits: CacheBits) -> CacheScales:
    """Runs the model over calibration windows and chooses a scale for each channel of its keys and values.

    Args:
        model: A transformers decoder, quantized or not.
        ids: Token ids ``[samples, length]``.
        bits: 8 or 4.

    Raises:
        EdgeqError: Keys or values are not finite; the layer is named.
    """
    windows = torch.from_numpy(ids[: max(1, TOKENS // ids.shape[1])])
    observed: list[tuple[Parts, Parts]] = []
    for batch in windows.split(max(1, BATCH // ids.shape[1])):  # type: ignore[no-untyped-call]
        for layer, parts in enumerate(_cached(model, batch)):
            if layer == len(observed):
                observed.append(([], []))
            for part, store in zip(parts, observed[layer], strict=True):
                store.append(part)
    scales = [
        [_scales(torch.cat(part), bits, f"layer {layer}") for part in parts] for layer, parts in enumerate(observed)
    ]
    return CacheScales(bits, tuple(keys for keys, _ in scales), tuple(values for _, values in scales))


def _cached(model: Any, ids: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each layer, ``[tokens, heads * size]``: as the model's own cache holds them."""
    with torch.no_grad():
        cache = model.base_model(input_ids=ids, use_cache=True).past_key_values
    return [(_by_channel(layer.keys), _by_channel(layer.values)) for layer in cache.layers]


def _by_channel(cached: Tensor) -> Tensor:
    """``[batch, heads, tokens, size]`` to ``[batch * tokens, heads * size]``."""
    return cached.transpose(1, 2).flatten(2).flatten(0, 1).float()


def _scales(x: Tensor, bits: CacheBits, layer: str) -> NDArray[np.float32]:
    """A scale for each column: of 8 bits up to the largest magnitude, of 4 bits the one with the least error."""
    largest = x.abs().amax(0)
    if not torch.isfinite(largest).all():
        raise EdgeqError("keys or values are not finite", field=layer, found="NaN or infinity", wanted="finite numbers")
    top = 2 ** (bits - 1) - 1
    best = (largest / top).clamp(min=LEAST)
    if bits == 4:
        least = _error(x, best, top)
        for ratio in RATIOS[1:]:
            scale = (ratio * largest / top).clamp(min=LEAST)
            error = _error(x, scale, top)
            best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return np.asarray(best.numpy(), np.float32)


def _error(x: Tensor, scale: Tensor, top: int) -> Tensor:
    return ((x / scale).round().clamp(-top - 1, top) * scale - x).square().sum(0)
