# SPDX-License-Identifier: Apache-2.0
"""Bytes of the same codes under several coders."""

from __future__ import annotations

from collections.abc import Callable

import lz4.block
import numpy as np
import zstandard
from numpy.typing import NDArray

from edgeq.compression.entropy import entropy
from edgeq.errors import EdgeqError
from edgeq.formats import Format
from edgeq.formats.compression import check_format, compress
from edgeq.formats.compression.geometry import Geometry
from edgeq.quantization.linear import PackedWeight

Bytes = NDArray[np.uint8]

# General coders see what ours see: the codes of the matrix in the order of the kernels, without its scales.
GENERAL: dict[str, Callable[[bytes], bytes]] = {
    "zstd-3": lambda codes: zstandard.ZstdCompressor(level=3).compress(codes),
    "zstd-19": lambda codes: zstandard.ZstdCompressor(level=19).compress(codes),
    "lz4": lambda codes: lz4.block.compress(codes, store_size=False),
    "lz4hc": lambda codes: lz4.block.compress(codes, mode="high_compression", compression=12, store_size=False),
}


def coded_sizes(weight: PackedWeight) -> dict[str, float]:
    """Bytes of a matrix: raw, at its order-0 entropy, and as each coder stores it, scales included in all."""
    fmt, packed = weight.format, weight.data.numpy()
    sizes = {"raw": float(packed.size)}
    if not _codes_stand_alone(fmt):
        return sizes
    geometry = Geometry.of(check_format(fmt, "rans"), weight.rows, weight.columns)
    codes, trailers = geometry.split(packed)
    bits = entropy(np.bincount(codes.reshape(-1), minlength=256))
    sizes["entropy"] = bits * codes.size / 8 + trailers.size
    for codec in ("rans", "nibble"):
        if codec == "rans" or fmt.bits == 8:
            sizes[codec] = float(compress(packed, fmt, weight.rows, weight.columns, codec).size)
    for name, coder in GENERAL.items():
        sizes[name] = float(len(coder(codes.tobytes())) + trailers.size)
    return sizes


def _codes_stand_alone(fmt: Format) -> bool:
    try:
        check_format(fmt, "rans")
    except EdgeqError:
        return False
    return True
