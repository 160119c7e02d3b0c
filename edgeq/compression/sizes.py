# SPDX-License-Identifier: Apache-2.0
"""What a compressed matrix takes, from the histogram of its codes alone: encoding it for that would take minutes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgeq.compression.entropy import NIBBLE_SYMBOLS, SYMBOLS
from edgeq.formats.compression import check_format
from edgeq.formats.compression.container import TAIL_BYTES, Header
from edgeq.formats.compression.geometry import Geometry
from edgeq.formats.compression.rans import SCALE, STATE_BYTES, frequencies

# A state ends up to 16 bits above what its symbols carry, and the words of a block are rounded up.
ROUNDING_BYTES = STATE_BYTES // 2


def compressed_size(packed: NDArray[np.uint8], fmt: object, rows: int, columns: int, codec: str) -> int:
    """Bytes of ``compress(packed, fmt, rows, columns, codec)``, at most a few thousandths too many.

    Raises:
        EdgeqError: The codec does not take the format.
    """
    geometry = Geometry.of(check_format(fmt, codec), rows, columns)
    counts = np.bincount(geometry.split(packed)[0].reshape(-1), minlength=SYMBOLS)
    table = 32 + 2 * np.count_nonzero(counts) if codec == "rans" else NIBBLE_SYMBOLS + 1
    header = Header(codec, 8, 0, 0, 0, 0, geometry.blocks, int(table) + 2)
    coded = _rans_bytes(counts, geometry.blocks) if codec == "rans" else _nibble_bytes(counts)
    return header.data_start + geometry.tiles * geometry.trailer_bytes + coded + TAIL_BYTES


def _rans_bytes(counts: NDArray[np.int64], blocks: int) -> int:
    used = counts > 0
    bits = float((counts[used] * (math.log2(SCALE) - np.log2(frequencies(counts)[used]))).sum())
    return math.ceil(bits / 8) + blocks * (STATE_BYTES + ROUNDING_BYTES)


def _nibble_bytes(counts: NDArray[np.int64]) -> int:
    total = int(counts.sum())
    return total // 2 + total - int(np.sort(counts)[-NIBBLE_SYMBOLS:].sum())
