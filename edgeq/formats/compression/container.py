# SPDX-License-Identifier: Apache-2.0
"""The bytes around the coded blocks: header, table, index, checksums (docs/formats.md, compressed)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.formats.layout import Bytes, round_up

MAGIC = b"EQCW"
VERSION = 1
TAIL_BYTES = 64  # zero bytes behind the last block: vector loads may reach beyond it
ALIGNMENT = 8
_FIELDS = struct.Struct("<4s4B3Q4I")
HEADER_BYTES = _FIELDS.size
_CHECKSUM = slice(HEADER_BYTES - 4, HEADER_BYTES)
_CODEC_NUMBERS = {"rans": 1, "nibble": 2}


@dataclass(frozen=True)
class Header:
    """What a compressed tensor says about itself.

    Attributes:
        codec: "rans" or "nibble".
        bits: Bits of a code.
        raw_size: Bytes of the packed tensor.
        tile_bytes: Bytes of a tile of it.
        stream_size: Bytes of the compressed tensor.
        tiles_per_block: Tiles that are coded together.
        blocks: Number of blocks.
        table_bytes: Bytes of the codec's table.
    """

    codec: str
    bits: int
    raw_size: int
    stream_size: int
    tile_bytes: int
    tiles_per_block: int
    blocks: int
    table_bytes: int

    @property
    def index_start(self) -> int:
        """Where the offsets of the blocks begin."""
        return round_up(HEADER_BYTES + self.table_bytes, ALIGNMENT)

    @property
    def data_start(self) -> int:
        """Where the first block begins: behind blocks + 1 offsets and a checksum for each block."""
        return self.index_start + 8 * (self.blocks + 1) + 4 * self.blocks


def wrong(problem: str, found: object = None, wanted: object = None) -> EdgeqError:
    """The error of a compressed tensor that cannot be decoded."""
    remedy = "the file is damaged, or was written by another version: compress the model again"
    return EdgeqError(problem, field="compressed weight", found=found, wanted=wanted, remedy=remedy)


def read_header(data: Bytes) -> Header:
    """The header of a compressed tensor, uint8 ``[size]``.

    Raises:
        EdgeqError: These are not the bytes of a compressed tensor of this version.
    """
    if data.size < HEADER_BYTES:
        raise wrong("truncated", f"{data.size} bytes", f"at least {HEADER_BYTES}")
    magic, version, number, bits, reserved, *sizes, _ = _FIELDS.unpack(data[:HEADER_BYTES].tobytes())
    if magic != MAGIC:
        raise wrong("no compressed weight", magic, MAGIC)
    if version != VERSION or reserved:
        raise wrong("unknown version", version, VERSION)
    codec = next((name for name, value in _CODEC_NUMBERS.items() if value == number), None)
    if codec is None:
        raise wrong("unknown codec", number, " or ".join(map(str, _CODEC_NUMBERS.values())))
    return Header(codec, bits, *sizes)


def write(header: Header, table: bytes, blocks: list[bytes]) -> Bytes:
    """The compressed tensor; `Header.stream_size` is filled in here."""
    offsets = np.cumsum([header.data_start, *map(len, blocks)], dtype="<u8")
    checksums = np.array([zlib.crc32(block) for block in blocks], "<u4")
    size = int(offsets[-1]) + TAIL_BYTES
    fields = [header.raw_size, size, header.tile_bytes, header.tiles_per_block, header.blocks, header.table_bytes]
    head = bytearray(_FIELDS.pack(MAGIC, VERSION, _CODEC_NUMBERS[header.codec], header.bits, 0, *fields, 0))
    head += table.ljust(header.index_start - HEADER_BYTES, b"\0") + offsets.tobytes() + checksums.tobytes()
    head[_CHECKSUM] = zlib.crc32(head).to_bytes(4, "little")
    return np.frombuffer(b"".join([head, *blocks, bytes(TAIL_BYTES)]), np.uint8)


def read(data: Bytes, header: Header) -> tuple[bytes, list[Bytes]]:
    """The codec's table and the blocks, all sizes and checksums verified.

    Raises:
        EdgeqError: The tensor is truncated, or damaged, or its index is inconsistent.
    """
    if data.size != header.stream_size:
        raise wrong("wrong size", f"{data.size} bytes", f"{header.stream_size}")
    if header.table_bytes > data.size or header.data_start + TAIL_BYTES > data.size:
        raise wrong("index beyond the end", f"{header.blocks} blocks", f"at most {data.size} bytes")
    head = bytearray(data[: header.data_start].tobytes())
    stored, head[_CHECKSUM] = head[_CHECKSUM], bytes(4)
    if zlib.crc32(head) != int.from_bytes(stored, "little"):
        raise wrong("damaged header", f"checksum {stored[::-1].hex()}", f"{zlib.crc32(head):08x}")
    ends = header.index_start + 8 * (header.blocks + 1)
    offsets = np.frombuffer(head, "<u8", header.blocks + 1, header.index_start)
    checksums = np.frombuffer(head, "<u4", header.blocks, ends)
    _check_offsets(offsets, header)
    blocks = [data[first:last] for first, last in pairwise(offsets)]
    for number, (block, checksum) in enumerate(zip(blocks, checksums, strict=True)):
        if (found := zlib.crc32(block.tobytes())) != checksum:
            raise wrong(f"block {number} is damaged", f"checksum {found:08x}", f"{checksum:08x}")
    return bytes(head[HEADER_BYTES : HEADER_BYTES + header.table_bytes]), blocks


def _check_offsets(offsets: NDArray[np.uint64], header: Header) -> None:
    ordered = bool((offsets[1:] >= offsets[:-1]).all())
    if offsets[0] != header.data_start or offsets[-1] != header.stream_size - TAIL_BYTES or not ordered:
        raise wrong(
            "inconsistent index", f"blocks from {offsets[0]} to {offsets[-1]}", "ascending offsets of all bytes"
        )
