# SPDX-License-Identifier: Apache-2.0
"""Where codes, and where scales and zero points, lie in the tiles of a packed tensor, and which tiles form a block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeq.formats import layout
from edgeq.formats.dint import DintFormat
from edgeq.formats.layout import Bytes
from edgeq.formats.uniform import SCALE_BYTES, TILE_ROWS, UniformFormat

# Least bytes of codes in a block: what a block costs besides, 80 bytes and more, stays below 0.3 % of 3.6 bits a code.
LEAST_BLOCK = 64 * 1024


@dataclass(frozen=True)
class Geometry:
    """The parts of a packed tensor.

    Attributes:
        tiles: Number of tiles.
        runs: Start and size in a tile of each group's codes, in bytes; what follows them is its trailer.
        tile_bytes: Bytes of a tile.
        tiles_per_block: Tiles that are coded together; the last block may have fewer.
    """

    tiles: int
    runs: tuple[tuple[int, int], ...]
    tile_bytes: int
    tiles_per_block: int

    @classmethod
    def of(cls, fmt: UniformFormat | DintFormat, rows: int, columns: int) -> Geometry:
        """The geometry of a ``[rows, columns]`` matrix."""
        trailer = SCALE_BYTES + (0 if fmt.symmetric else TILE_ROWS)
        runs, position = [], 0
        for start, end in layout.group_bounds(columns, fmt.group_size):
            size = (end - start) * TILE_ROWS * fmt.bits // 8
            runs.append((position, size))
            position += size + trailer
        code_bytes = sum(size for _, size in runs)
        return cls(-(-rows // TILE_ROWS), tuple(runs), position, -(-LEAST_BLOCK // code_bytes))

    @property
    def code_bytes(self) -> int:
        """Bytes of a tile's codes."""
        return sum(size for _, size in self.runs)

    @property
    def trailer_bytes(self) -> int:
        """Bytes of a tile's scales and zero points."""
        return self.tile_bytes - self.code_bytes

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.tiles // self.tiles_per_block)

    def tiles_of(self, block: int) -> int:
        """Number of tiles in a block."""
        return min(self.tiles_per_block, self.tiles - block * self.tiles_per_block)

    def split(self, packed: Bytes) -> tuple[Bytes, Bytes]:
        """Codes ``[tiles, code_bytes]`` and trailers ``[tiles, trailer_bytes]`` of a packed tensor."""
        tiles = packed.reshape(self.tiles, self.tile_bytes)
        trailer = self.trailer_bytes // len(self.runs)
        codes = [tiles[:, start : start + size] for start, size in self.runs]
        trailers = [tiles[:, start + size : start + size + trailer] for start, size in self.runs]
        return np.concatenate(codes, axis=1), np.concatenate(trailers, axis=1)

    def join(self, codes: Bytes, trailers: Bytes) -> Bytes:
        """The inverse of `split`."""
        tiles = np.empty((self.tiles, self.tile_bytes), np.uint8)
        trailer, position = self.trailer_bytes // len(self.runs), 0
        for group, (start, size) in enumerate(self.runs):
            tiles[:, start : start + size] = codes[:, position : position + size]
            tiles[:, start + size : start + size + trailer] = trailers[:, group * trailer : (group + 1) * trailer]
            position += size
        return tiles.reshape(-1)
