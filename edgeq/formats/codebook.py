# SPDX-License-Identifier: Apache-2.0
"""Codebook weights, w = s·levels[q], of 2, 3 or 4 bits with a table of levels per row and group (docs/formats.md).

The levels are what non-uniform quantizers find, e.g. the centroids of SqueezeLLM (arXiv 2306.07629), rounded to int8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.formats import layout
from edgeq.formats.layout import Bytes, Floats, Halfs
from edgeq.formats.uniform import BLOCK_ROWS, SCALE_BYTES, TILE_ROWS, UniformFormat, UniformTensor

BITS = (2, 3, 4)
LANE = 16  # bytes of one row in a 4-bit chunk
LARGEST = 127

Levels = NDArray[np.int8]


@dataclass(frozen=True)
class CodebookTensor:
    """A quantized matrix.

    Attributes:
        codes: uint8 ``[N, K]``, values in [0, 2^bits).
        levels: int8 ``[N, G, 2^bits]``, in any order.
        scales: float16 ``[N, G]``.
    """

    codes: Bytes
    levels: Levels
    scales: Halfs


@dataclass(frozen=True)
class CodebookFormat:
    """The codebook format.

    Attributes:
        bits: 2, 3 or 4.
        group_size: Weights per table and scale along K, a multiple of 32; 0: one table per row.

    Raises:
        EdgeqError: Bits or group size are not supported.
    """

    name: ClassVar[str] = "codebook"
    bits: int
    group_size: int = 0

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise EdgeqError("unsupported bits", field=f"format {self.name}", found=self.bits, wanted="2, 3 or 4")
        layout.check_group_size(self.group_size, f"format {self.name}")

    @classmethod
    def from_scheme(cls, bits: int, group_size: int, symmetry: str | None) -> CodebookFormat:
        """The format that the parts of a scheme string name; its tables make ``sym`` and ``asym`` meaningless."""
        if symmetry:
            raise EdgeqError("a codebook has no zero point", field="scheme", found=f"-{symmetry}", wanted="no suffix")
        return cls(bits, group_size)

    @property
    def scheme_suffix(self) -> str:
        """What follows the bits in a scheme string."""
        return (f"g{self.group_size}" if self.group_size else "") + "-codebook"

    @property
    def level_count(self) -> int:
        """Levels of one table."""
        return 1 << self.bits

    def _header_bytes(self) -> int:
        return TILE_ROWS * self.level_count + SCALE_BYTES

    def _code_bytes(self, inputs: int) -> int:
        return TILE_ROWS * inputs * self.bits // 8

    def _tile_bytes(self, columns: int) -> int:
        codes = self._code_bytes(layout.round_up(columns, layout.K_MULTIPLE))
        return codes + layout.group_count(columns, self.group_size) * self._header_bytes()

    def packed_size(self, rows: int, columns: int) -> int:
        """Bytes of a packed ``[rows, columns]`` matrix."""
        return -(-rows // TILE_ROWS) * self._tile_bytes(columns)

    def decode(self, tensor: CodebookTensor) -> Floats:
        """The weights as float32 ``[N, K]``."""
        rows, columns = tensor.codes.shape
        values = tensor.levels.astype(np.float32) * tensor.scales.astype(np.float32)[:, :, None]
        group = np.arange(columns) // (self.group_size or columns)
        weights: Floats = values[np.arange(rows)[:, None], group, tensor.codes]
        return weights

    def pack(self, tensor: CodebookTensor) -> Bytes:
        """The packed bytes, uint8 ``[packed_size]``.

        Raises:
            EdgeqError: Shapes or types are not those of the format, or a code has no level.
        """
        self._check(tensor)
        rows, columns = tensor.codes.shape
        padded_rows = layout.round_up(rows, TILE_ROWS)
        tiles = padded_rows // TILE_ROWS
        codes = self._pack_codes(layout.pad(tensor.codes, padded_rows, layout.round_up(columns, layout.K_MULTIPLE)))
        levels = self._pack_levels(layout.pad(tensor.levels, padded_rows))
        scales = layout.pad(tensor.scales, padded_rows).reshape(tiles, TILE_ROWS, -1)
        parts = []
        for group, (start, end) in enumerate(layout.group_bounds(columns, self.group_size)):
            parts += [levels[:, group], np.ascontiguousarray(scales[:, :, group]).view(np.uint8)]
            parts.append(codes[:, self._code_bytes(start) : self._code_bytes(end)])
        return np.concatenate(parts, axis=1).reshape(-1)

    def unpack(self, data: Bytes, rows: int, columns: int) -> CodebookTensor:
        """The inverse of `pack`.

        Raises:
            EdgeqError: ``data`` has the wrong size.
        """
        layout.check_size(data, self.packed_size(rows, columns), f"codebook w{self.bits} [{rows}, {columns}]")
        tiles = data.reshape(-1, self._tile_bytes(columns))
        groups, padded = layout.group_count(columns, self.group_size), layout.round_up(columns, layout.K_MULTIPLE)
        codes = np.empty((len(tiles), self._code_bytes(padded)), np.uint8)
        levels = np.empty((len(tiles), groups, TILE_ROWS * self.level_count), np.uint8)
        scales = np.empty((len(tiles), TILE_ROWS, groups), np.float16)
        position = 0
        for group, (start, end) in enumerate(layout.group_bounds(columns, self.group_size)):
            header = tiles[:, position : position + self._header_bytes()]
            levels[:, group] = header[:, :-SCALE_BYTES]
            scales[:, :, group] = np.ascontiguousarray(header[:, -SCALE_BYTES:]).view(np.float16)
            first, size = position + self._header_bytes(), self._code_bytes(end - start)
            codes[:, self._code_bytes(start) : self._code_bytes(end)] = tiles[:, first : first + size]
            position = first + size
        return CodebookTensor(
            np.ascontiguousarray(self._unpack_codes(codes, padded)[:rows, :columns]),
            np.ascontiguousarray(self._unpack_levels(levels)[:rows]),
            np.ascontiguousarray(scales.reshape(-1, groups)[:rows]),
        )

    def _check(self, tensor: CodebookTensor) -> None:
        rows, columns = tensor.codes.shape
        groups = layout.group_count(columns, self.group_size)
        wanted: list[tuple[str, NDArray[Any], tuple[int, ...], type[np.generic]]] = [
            ("codes", tensor.codes, (rows, columns), np.uint8),
            ("levels", tensor.levels, (rows, groups, self.level_count), np.int8),
            ("scales", tensor.scales, (rows, groups), np.float16),
        ]
        for name, array, shape, dtype in wanted:
            if array.shape != shape or array.dtype != dtype:
                raise EdgeqError(
                    "wrong codebook tensor",
                    field=name,
                    found=f"{array.dtype}{list(array.shape)}",
                    wanted=f"{np.dtype(dtype)}{list(shape)}",
                )
        if tensor.codes.size and tensor.codes.max() >= self.level_count:
            raise EdgeqError(
                "code without a level", field="codes", found=tensor.codes.max(), wanted=f"below {self.level_count}"
            )

    def _pack_codes(self, codes: Bytes) -> Bytes:
        """Codes ``[Np, Kp]`` to the chunks of each tile, ``[tiles, bytes]``."""
        rows, columns = codes.shape
        if self.bits != 4:  # the chunks of uniform codes, without the scales that follow them there
            packed = UniformFormat(self.bits).pack(UniformTensor(codes, np.zeros((rows, 1), np.float16)))
            return packed.reshape(rows // TILE_ROWS, -1)[:, :-SCALE_BYTES]
        lanes = codes.reshape(-1, 2, 4, 4, columns // 32, 2, LANE)  # [tile, block, row / 4, row mod 4, chunk, half, k]
        merged = lanes[..., 0, :] | lanes[..., 1, :] << 4
        return np.ascontiguousarray(merged.transpose(0, 4, 1, 3, 2, 5)).reshape(len(lanes), -1)

    def _unpack_codes(self, data: Bytes, columns: int) -> Bytes:
        if self.bits != 4:
            packed = np.concatenate([data, np.zeros((len(data), SCALE_BYTES), np.uint8)], axis=1).reshape(-1)
            return UniformFormat(self.bits).unpack(packed, len(data) * TILE_ROWS, columns).codes
        lanes = data.reshape(-1, columns // 32, 2, 4, 4, LANE).transpose(0, 2, 4, 3, 1, 5)
        return np.stack([lanes & 15, lanes >> 4], axis=-2).reshape(-1, columns)

    def _pack_levels(self, levels: Levels) -> Bytes:
        """Levels ``[Np, G, 2^bits]`` in the order of a tile, uint8 ``[tiles, G, bytes]``."""
        blocks = levels.view(np.uint8).reshape(-1, 2, BLOCK_ROWS, levels.shape[1], self.level_count)
        ordered = blocks[:, :, self._level_order()].transpose(0, 3, 1, 2, 4)
        return np.ascontiguousarray(ordered).reshape(len(blocks), levels.shape[1], -1)

    def _unpack_levels(self, data: Bytes) -> Levels:
        tiles, groups, _ = data.shape
        ordered = data.reshape(tiles, groups, 2, BLOCK_ROWS, self.level_count).transpose(0, 2, 3, 1, 4)
        rows = np.empty((tiles, 2, BLOCK_ROWS, groups, self.level_count), np.int8)
        rows[:, :, self._level_order()] = ordered.view(np.int8)
        return rows.reshape(-1, groups, self.level_count)

    def _level_order(self) -> NDArray[np.int64]:
        """Row of a block at each position of its tables: as its codes lie, at 4 bits in lines of every fourth row."""
        rows = np.arange(BLOCK_ROWS)
        return rows.reshape(4, 4).T.reshape(-1) if self.bits == 4 else rows


def nearest_levels(levels: NDArray[np.floating], count: int) -> tuple[Levels, Halfs]:
    """Float levels as int8 levels and float16 scales, s = max|level| / 127; fewer than ``count`` are repeated.

    Args:
        levels: ``[N, G, at most count]``.
        count: Levels of a table, 2^bits.

    Raises:
        EdgeqError: A level is not finite, or the scale does not fit float16.
    """
    largest = np.abs(levels.astype(np.float64)).max(axis=2)
    # The scale is rounded up, so that no level is clipped; a table of zeros keeps scale zero.
    with np.errstate(over="ignore"):
        scales = (largest / LARGEST).astype(np.float16)
    scales = np.where(scales.astype(np.float64) * LARGEST < largest, np.nextafter(scales, np.float16(np.inf)), scales)
    if not np.isfinite(scales).all():
        raise EdgeqError(
            "levels do not fit float16", found=f"{largest.max():.3g}", wanted=f"finite, at most {LARGEST * 65504}"
        )
    divisor = np.where(scales == 0, 1, scales).astype(np.float64)
    rounded = np.rint(levels / divisor[:, :, None]).astype(np.int8)
    missing = count - rounded.shape[2]
    return np.pad(rounded, ((0, 0), (0, 0), (0, missing)), mode="edge"), scales.astype(np.float16)
