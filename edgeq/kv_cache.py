# SPDX-License-Identifier: Apache-2.0
"""Schemes of the key-value cache: how keys and values of past tokens are kept in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError

CacheBits = Literal[8, 4]
BITS: dict[str, CacheBits] = {"kv8": 8, "kv4": 4}


@dataclass(frozen=True)
class CacheScales:
    """The quantizers of the cache: a scale for each channel of the keys and of the values of each layer.

    A code of 8 bits is round(x / scale) in [-128, 127]; of 4 bits in [-8, 7], two to a byte.

    Attributes:
        bits: 8 or 4.
        keys: By layer, float32 ``[heads * head size]``.
        values: By layer, likewise.
    """

    bits: CacheBits
    keys: tuple[NDArray[np.float32], ...]
    values: tuple[NDArray[np.float32], ...]

    @property
    def scheme(self) -> Literal["kv8", "kv4"]:
        """As `parse_kv_cache` reads it."""
        return "kv8" if self.bits == 8 else "kv4"


def parse_kv_cache(text: str) -> CacheBits:
    """Bits of keys and values under a scheme.

    Raises:
        EdgeqError: There is no such scheme.
    """
    if text in BITS:
        return BITS[text]
    if text in ("v4", "v8", "k4", "k8"):
        raise EdgeqError(
            "ONNX Runtime's attention on the CPU quantizes keys and values alike",
            field="--kv-cache",
            found=text,
            wanted=" or ".join(BITS),
        )
    raise EdgeqError("unknown scheme of the key-value cache", field="--kv-cache", found=text, wanted=" or ".join(BITS))


def check_cached(config: dict[str, Any], calibrated: bool) -> None:
    """Checks that a model has a cache to quantize, and text to find its scales with.

    Args:
        config: ``config.json`` of the checkpoint.
        calibrated: Whether there is calibration text.

    Raises:
        EdgeqError: It lacks one of them.
    """
    architectures = [str(name) for name in config.get("architectures") or []]
    if not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures):
        raise EdgeqError("no key-value cache", field="--kv-cache", found=", ".join(architectures), wanted="a decoder")
    if not calibrated:
        raise EdgeqError(
            "scales of the key-value cache need calibration",
            field="--kv-cache",
            remedy="add --calibration FILE with text like that which the model will read",
        )
