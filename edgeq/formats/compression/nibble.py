# SPDX-License-Identifier: Apache-2.0
"""Codec "nibble": 4 bits for each of the 15 most frequent codes, a byte more for any other.

A byte shuffle decodes it, so reading memory takes longer than decoding. Byte ``i`` of a line of 32 bytes holds the
nibbles of codes ``i`` (low) and ``i + 32`` (high) of a line of 64; nibble 15 stands for the next escaped code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeq.formats.compression.container import wrong
from edgeq.formats.layout import Bytes

ESCAPE = 15
TABLE_BYTES = 16
LINE = 64


def write_table(histogram: NDArray[np.int64]) -> bytes:
    """The 15 most frequent codes, then a zero byte."""
    return np.argsort(-histogram, kind="stable")[:ESCAPE].astype(np.uint8).tobytes() + b"\0"


def read_table(table: bytes) -> Bytes:
    """The 16 entries of a table.

    Raises:
        EdgeqError: The table's size is wrong.
    """
    if len(table) != TABLE_BYTES:
        raise wrong("wrong size of the table", f"{len(table)} bytes", f"{TABLE_BYTES}")
    return np.frombuffer(table, np.uint8)


def encode(table: bytes, codes: list[Bytes]) -> list[bytes]:
    """The nibbles and then the escaped codes of each block."""
    nibble_of = np.full(256, ESCAPE, np.uint8)
    nibble_of[read_table(table)[:ESCAPE]] = np.arange(ESCAPE)
    blocks = []
    for block in codes:
        nibbles = nibble_of[block]
        halves = nibbles.reshape(-1, 2, LINE // 2)
        packed = halves[:, 0] | halves[:, 1] << 4
        blocks.append(packed.tobytes() + block[nibbles == ESCAPE].tobytes())
    return blocks


def decode(table: bytes, streams: list[Bytes], sizes: list[int]) -> list[Bytes]:
    """The codes of each block, ``sizes`` bytes each: the inverse of `encode`.

    Raises:
        EdgeqError: A block has too few or too many escaped codes.
    """
    code_of = read_table(table)
    blocks = []
    for stream, size in zip(streams, sizes, strict=True):
        packed = stream[: size // 2].reshape(-1, LINE // 2) if len(stream) >= size // 2 else stream[:0].reshape(0, 32)
        nibbles = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)
        escapes = nibbles == ESCAPE
        if len(nibbles) != size or np.count_nonzero(escapes) != len(stream) - size // 2:
            raise wrong("wrong size of a block", f"{len(stream)} bytes", f"{size // 2} and one for each escaped code")
        out = code_of[nibbles]
        out[escapes] = stream[size // 2 :]
        blocks.append(out)
    return blocks
