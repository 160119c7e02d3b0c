# SPDX-License-Identifier: Apache-2.0
"""Packed tensors to compressed ones and back."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.formats import layout
from edgeq.formats.compression import container, nibble, rans
from edgeq.formats.compression.geometry import Geometry
from edgeq.formats.dint import DintFormat
from edgeq.formats.layout import Bytes
from edgeq.formats.uniform import UniformFormat


class Codec(Protocol):
    """What a codec's module offers. Blocks are flat arrays of codes of one size; only the last may be shorter."""

    def write_table(self, histogram: NDArray[np.int64], /) -> bytes:
        """The table for codes of a histogram ``[256]``."""

    def encode(self, table: bytes, codes: list[Bytes], /) -> list[bytes]:
        """The stream of each block."""

    def decode(self, table: bytes, streams: list[Bytes], sizes: list[int], /) -> list[Bytes]:
        """The inverse of `encode`; raises EdgeqError where it has none."""


CODECS: dict[str, Codec] = {"rans": rans, "nibble": nibble}
_BITS = {"rans": (4, 8), "nibble": (8,)}
# Codes that are encoded at once: their words and flags take three times the memory.
_BATCH = 1 << 24


def check_format(fmt: object, codec: str) -> UniformFormat | DintFormat:
    """The format, if the codec takes it.

    Raises:
        EdgeqError: The codec is unknown, or does not take weights of this format and these bits.
    """
    if codec not in CODECS:
        raise EdgeqError("unknown codec", field="codec", found=repr(codec), wanted=" or ".join(map(repr, CODECS)))
    if not isinstance(fmt, UniformFormat | DintFormat) or fmt.bits not in _BITS[codec]:
        name = f"{getattr(fmt, 'name', type(fmt).__name__)} of {getattr(fmt, 'bits', 'unknown')} bits"
        wanted = f"uniform{' or dint' if codec == 'rans' else ''} of {' or '.join(map(str, _BITS[codec]))} bits"
        raise EdgeqError(f'codec "{codec}" does not take these weights', field="format", found=name, wanted=wanted)
    return fmt


def compress(packed: Bytes, fmt: object, rows: int, columns: int, codec: str) -> Bytes:
    """Codes entropy-coded, scales and zero points as they are.

    Args:
        packed: uint8 ``[packed_size]``, a ``[rows, columns]`` matrix in format ``fmt``.
        fmt: `UniformFormat` of 8 bits; for "rans" also of 4 bits, or `DintFormat` of 4 bits.
        rows: Output features.
        columns: Input features.
        codec: "rans" (densest: within 1 % of the entropy) or "nibble" (decodes at the speed of memory).

    Returns:
        uint8 ``[size]``, read-only.

    Raises:
        EdgeqError: The codec does not take the format, or ``packed`` has the wrong size.
    """
    form = check_format(fmt, codec)
    module = CODECS[codec]
    layout.check_size(packed, form.packed_size(rows, columns), f"{form.name} w{form.bits} [{rows}, {columns}]")
    geometry = Geometry.of(form, rows, columns)
    codes, trailers = geometry.split(packed)
    table = module.write_table(np.bincount(codes.reshape(-1), minlength=256))
    header = container.Header(
        codec,
        form.bits,
        packed.size,
        0,
        geometry.tile_bytes,
        geometry.tiles_per_block,
        geometry.blocks,
        len(table),
    )
    streams = _encode_in_batches(module, table, _blocks(codes, geometry), geometry)
    heads = _blocks(trailers, geometry)
    return container.write(header, table, [h.tobytes() + s for h, s in zip(heads, streams, strict=True)])


def decompress(data: Bytes, fmt: object, rows: int, columns: int) -> Bytes:
    """The packed tensor that `compress` was given.

    Raises:
        EdgeqError: ``data`` is damaged, or was not made from a matrix of this format and shape.
    """
    header = container.read_header(data)
    form = check_format(fmt, header.codec)
    geometry = Geometry.of(form, rows, columns)
    found = (header.bits, header.raw_size, header.tile_bytes, header.tiles_per_block, header.blocks)
    raw_size = form.packed_size(rows, columns)
    wanted = (form.bits, raw_size, geometry.tile_bytes, geometry.tiles_per_block, geometry.blocks)
    if found != wanted:
        names = "bits, bytes, bytes of a tile, tiles in a block, blocks "
        raise container.wrong(f"not a {form.name} matrix [{rows}, {columns}]", names + str(found), str(wanted))
    table, blocks = container.read(data, header)
    heads = [geometry.tiles_of(block) * geometry.trailer_bytes for block in range(geometry.blocks)]
    sizes = [geometry.tiles_of(block) * geometry.code_bytes for block in range(geometry.blocks)]
    for block, head in zip(blocks, heads, strict=True):
        if len(block) < head:
            raise container.wrong("wrong size of a block", f"{len(block)} bytes", f"at least {head}")
    streams = [block[head:] for block, head in zip(blocks, heads, strict=True)]
    codes = np.concatenate(CODECS[header.codec].decode(table, streams, sizes))
    trailers = np.concatenate([block[:head] for block, head in zip(blocks, heads, strict=True)])
    return geometry.join(codes.reshape(geometry.tiles, -1), trailers.reshape(geometry.tiles, -1))


def _blocks(parts: Bytes, geometry: Geometry) -> list[Bytes]:
    """``[tiles, bytes]`` to one flat array for each block."""
    step = geometry.tiles_per_block
    return [parts[first : first + step].reshape(-1) for first in range(0, geometry.tiles, step)]


def _encode_in_batches(module: Codec, table: bytes, codes: list[Bytes], geometry: Geometry) -> list[bytes]:
    step = max(1, _BATCH // len(codes[0]))
    out: list[bytes] = []
    for first in range(0, geometry.blocks, step):
        out += module.encode(table, codes[first : first + step])
    return out
