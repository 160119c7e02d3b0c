# SPDX-License-Identifier: Apache-2.0
"""Uniform weights, w = s·(q − z), of 2, 3, 4 or 8 bits (docs/formats.md, uniform)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.formats import layout
from edgeq.formats.layout import Bytes, Floats, Halfs

TILE_ROWS = 32
BLOCK_ROWS = 16
SCALE_BYTES = 2 * TILE_ROWS
BITS = (2, 3, 4, 8)
# Fields of one byte lane, and 64-byte lines, in a chunk of 4·fields inputs.
_FIELDS = {2: 4, 3: 8, 4: 2, 8: 1}
_LINES = {2: 1, 3: 3, 4: 1, 8: 1}

Words = NDArray[np.uint32]


@dataclass(frozen=True)
class UniformTensor:
    """A quantized matrix.

    Attributes:
        codes: uint8 ``[N, K]``, values in [0, 2^bits).
        scales: float16 ``[N, G]``.
        zero_points: uint8 ``[N, G]``, or ``None`` for the symmetric zero point 2^(bits−1).
    """

    codes: Bytes
    scales: Halfs
    zero_points: Bytes | None = None


@dataclass(frozen=True)
class UniformFormat:
    """The uniform format.

    Attributes:
        bits: 2, 3, 4 or 8.
        group_size: Weights per scale along K, a multiple of 32; 0: one scale per row.
        symmetric: Whether the zero point is fixed at 2^(bits−1).

    Raises:
        EdgeqError: Bits or group size are not supported.
    """

    name: ClassVar[str] = "uniform"
    bits: int
    group_size: int = 0
    symmetric: bool = True

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise EdgeqError("unsupported bits", field=f"format {self.name}", found=self.bits, wanted="2, 3, 4 or 8")
        layout.check_group_size(self.group_size, f"format {self.name}")

    @classmethod
    def from_scheme(cls, bits: int, group_size: int, symmetry: str | None) -> UniformFormat:
        """The format that the parts of a scheme string name; symmetric unless it says ``asym``."""
        return cls(bits, group_size, symmetric=symmetry != "asym")

    @property
    def scheme_suffix(self) -> str:
        """What follows the bits in a scheme string."""
        return (f"g{self.group_size}" if self.group_size else "") + ("" if self.symmetric else "-asym")

    def _trailer_bytes(self) -> int:
        return SCALE_BYTES + (0 if self.symmetric else TILE_ROWS)

    def _tile_bytes(self, columns: int) -> int:
        codes = TILE_ROWS * layout.round_up(columns, layout.K_MULTIPLE) * self.bits // 8
        return codes + layout.group_count(columns, self.group_size) * self._trailer_bytes()

    def packed_size(self, rows: int, columns: int) -> int:
        """Bytes of a packed ``[rows, columns]`` matrix."""
        return -(-rows // TILE_ROWS) * self._tile_bytes(columns)

    def decode(self, tensor: UniformTensor) -> Floats:
        """The weights as float32 ``[N, K]``."""
        columns = tensor.codes.shape[1]
        centred = tensor.codes.astype(np.float32)
        if tensor.zero_points is None:
            centred -= 2 ** (self.bits - 1)
        else:
            centred -= layout.expand_groups(tensor.zero_points.astype(np.float32), columns, self.group_size)
        centred *= layout.expand_groups(tensor.scales.astype(np.float32), columns, self.group_size)
        return centred

    def pack(self, tensor: UniformTensor) -> Bytes:
        """The packed bytes, uint8 ``[packed_size]``."""
        rows, columns = tensor.codes.shape
        padded_rows = layout.round_up(rows, TILE_ROWS)
        lines = self._pack_codes(layout.pad(tensor.codes, padded_rows, layout.round_up(columns, layout.K_MULTIPLE)))
        tiles = lines.shape[0]
        scales = layout.pad(tensor.scales, padded_rows).reshape(tiles, TILE_ROWS, -1)
        out = np.empty((tiles, self._tile_bytes(columns)), np.uint8)
        position = 0
        for group, (start, end) in enumerate(layout.group_bounds(columns, self.group_size)):
            first, size = start * TILE_ROWS * self.bits // 8, (end - start) * TILE_ROWS * self.bits // 8
            out[:, position : position + size] = lines[:, first : first + size]
            position += size
            out[:, position : position + SCALE_BYTES] = np.ascontiguousarray(scales[:, :, group]).view(np.uint8)
            position += SCALE_BYTES
            if tensor.zero_points is not None:
                zeros = layout.pad(tensor.zero_points, padded_rows).reshape(tiles, TILE_ROWS, -1)
                out[:, position : position + TILE_ROWS] = zeros[:, :, group]
                position += TILE_ROWS
        return out.reshape(-1)

    def unpack(self, data: Bytes, rows: int, columns: int) -> UniformTensor:
        """The inverse of `pack`.

        Raises:
            EdgeqError: ``data`` has the wrong size.
        """
        layout.check_size(data, self.packed_size(rows, columns), f"uniform w{self.bits} [{rows}, {columns}]")
        groups = layout.group_count(columns, self.group_size)
        tiles = data.reshape(-1, self._tile_bytes(columns))
        padded = layout.round_up(columns, layout.K_MULTIPLE)
        lines = np.empty((len(tiles), TILE_ROWS * padded * self.bits // 8), np.uint8)
        scales = np.empty((len(tiles), TILE_ROWS, groups), np.float16)
        zeros = np.empty((len(tiles), TILE_ROWS, groups), np.uint8)
        position = 0
        for group, (start, end) in enumerate(layout.group_bounds(columns, self.group_size)):
            first, size = start * TILE_ROWS * self.bits // 8, (end - start) * TILE_ROWS * self.bits // 8
            lines[:, first : first + size] = tiles[:, position : position + size]
            position += size
            scales[:, :, group] = np.ascontiguousarray(tiles[:, position : position + SCALE_BYTES]).view(np.float16)
            position += SCALE_BYTES
            if not self.symmetric:
                zeros[:, :, group] = tiles[:, position : position + TILE_ROWS]
                position += TILE_ROWS
        codes = self._unpack_codes(lines, padded)[:rows, :columns]
        return UniformTensor(
            np.ascontiguousarray(codes),
            scales.reshape(-1, groups)[:rows],
            None if self.symmetric else zeros.reshape(-1, groups)[:rows],
        )

    def _pack_codes(self, codes: Bytes) -> Bytes:
        """Codes ``[Np, Kp]`` to the lines of each tile, ``[tiles, bytes]``; four neighbouring k travel as one lane."""
        fields = _FIELDS[self.bits]
        lanes = (
            np.ascontiguousarray(codes).view("<u4").reshape(-1, 2, BLOCK_ROWS, codes.shape[1] // (4 * fields), fields)
        )
        lines = np.stack(self._merge_fields([lanes[..., field] for field in range(fields)]), axis=-1)
        return np.ascontiguousarray(lines.transpose(0, 3, 1, 4, 2)).reshape(len(lines), -1).view(np.uint8)

    def _unpack_codes(self, lines: Bytes, columns: int) -> Bytes:
        fields, count = _FIELDS[self.bits], _LINES[self.bits]
        words = lines.view("<u4").reshape(len(lines), columns // (4 * fields), 2, count, BLOCK_ROWS)
        parts = self._split_fields([words[:, :, :, line] for line in range(count)])
        lanes = np.stack(parts, axis=-1).transpose(0, 2, 3, 1, 4)
        return np.ascontiguousarray(lanes).view(np.uint8).reshape(-1, columns)

    def _merge_fields(self, fields: list[Words]) -> list[Words]:
        """Fields of a chunk to its lines. No code is wider than its field, so shifts never cross a byte."""
        if self.bits != 3:
            line = fields[0].copy()
            for index, field in enumerate(fields[1:], 1):
                line |= field << np.uint32(self.bits * index)
            return [line]
        pairs = [fields[2 * i] | fields[2 * i + 1] << np.uint32(3) for i in range(4)]
        crumb = np.uint32(0x03030303)
        return [pairs[i] | ((pairs[3] >> np.uint32(2 * i)) & crumb) << np.uint32(6) for i in range(3)]

    def _split_fields(self, lines: list[Words]) -> list[Words]:
        mask = np.uint32(0x01010101 * (2**self.bits - 1))
        if self.bits != 3:
            return [(lines[0] >> np.uint32(self.bits * index)) & mask for index in range(_FIELDS[self.bits])]
        crumb = np.uint32(0x03030303)
        spread = [((line >> np.uint32(6)) & crumb) << np.uint32(2 * i) for i, line in enumerate(lines)]
        pairs = [*lines, spread[0] | spread[1] | spread[2]]
        return [(pair >> np.uint32(shift)) & mask for pair in pairs for shift in (0, 3)]
