# SPDX-License-Identifier: Apache-2.0
"""Binary-coded weights, w = Σ α_p·b_p + z with b_p in {−1, +1} (docs/formats.md, bcq).

Source: LUT-GEMM (arXiv 2206.09557), section 3, with the offset of its later version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeq.errors import EdgeqError
from edgeq.formats import layout
from edgeq.formats.layout import Bytes, Floats, Halfs
from edgeq.formats.uniform import UniformFormat, UniformTensor

TILE_ROWS = 64
RUN = 8
MAX_PLANES = 4
# Byte lane l of a line belongs to row l/2 + 32·(l mod 2).
_LANE_ROW = np.arange(TILE_ROWS) // 2 + TILE_ROWS // 2 * (np.arange(TILE_ROWS) % 2)


@dataclass(frozen=True)
class BcqTensor:
    """A binary-coded matrix.

    Attributes:
        codes: uint8 ``[N, K]``; bit p is the sign of plane p (1: +1, 0: −1).
        coefficients: float16 ``[N, G, planes]``.
        offsets: float16 ``[N, G]``.
    """

    codes: Bytes
    coefficients: Halfs
    offsets: Halfs


@dataclass(frozen=True)
class BcqFormat:
    """The binary-coded format.

    Attributes:
        bits: Number of planes, 1 to 4.
        group_size: Weights per set of coefficients along K, a multiple of 32; 0: one set per row.

    Raises:
        EdgeqError: Planes or group size are not supported.
    """

    name: ClassVar[str] = "bcq"
    bits: int
    group_size: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_PLANES:
            raise EdgeqError("unsupported bits", field=f"format {self.name}", found=self.bits, wanted="1 to 4 planes")
        layout.check_group_size(self.group_size, f"format {self.name}")

    @classmethod
    def from_scheme(cls, bits: int, group_size: int, symmetry: str | None) -> BcqFormat:
        """The format that the parts of a scheme string name; its offset makes ``sym`` and ``asym`` meaningless."""
        if symmetry:
            raise EdgeqError(
                "binary-coded weights always have an offset", field="scheme", found=f"-{symmetry}", wanted="no suffix"
            )
        return cls(bits, group_size)

    @property
    def scheme_suffix(self) -> str:
        """What follows the bits in a scheme string."""
        return (f"g{self.group_size}" if self.group_size else "") + "-bcq"

    def _tile_bytes(self, columns: int) -> int:
        codes = TILE_ROWS * layout.round_up(columns, layout.K_MULTIPLE) * self.bits // 8
        return codes + layout.group_count(columns, self.group_size) * 2 * TILE_ROWS * (self.bits + 1)

    def packed_size(self, rows: int, columns: int) -> int:
        """Bytes of a packed ``[rows, columns]`` matrix."""
        return -(-rows // TILE_ROWS) * self._tile_bytes(columns)

    def decode(self, tensor: BcqTensor) -> Floats:
        """The weights as float32 ``[N, K]``."""
        columns = tensor.codes.shape[1]
        weights = layout.expand_groups(tensor.offsets.astype(np.float32), columns, self.group_size).copy()
        for plane in range(self.bits):
            signs = ((tensor.codes >> plane) & 1).astype(np.float32) * 2 - 1
            weights += signs * layout.expand_groups(
                tensor.coefficients[:, :, plane].astype(np.float32), columns, self.group_size
            )
        return weights

    def pack(self, tensor: BcqTensor) -> Bytes:
        """The packed bytes, uint8 ``[packed_size]``."""
        rows, columns = tensor.codes.shape
        padded_rows = layout.round_up(rows, TILE_ROWS)
        lines = self._pack_codes(layout.pad(tensor.codes, padded_rows, layout.round_up(columns, layout.K_MULTIPLE)))
        halfs = np.concatenate([tensor.coefficients, tensor.offsets[:, :, None]], axis=2)
        trailers = (
            layout.pad(halfs, padded_rows).reshape(len(lines), TILE_ROWS, -1, self.bits + 1).transpose(0, 2, 3, 1)
        )
        out = np.empty((len(lines), self._tile_bytes(columns)), np.uint8)
        position = 0
        for group, (start, end) in enumerate(layout.group_bounds(columns, self.group_size)):
            first, size = start * TILE_ROWS * self.bits // 8, (end - start) * TILE_ROWS * self.bits // 8
            out[:, position : position + size] = lines[:, first : first + size]
            position += size
            trailer = np.ascontiguousarray(trailers[:, group]).reshape(len(lines), -1).view(np.uint8)
            out[:, position : position + trailer.shape[1]] = trailer
            position += trailer.shape[1]
        return out.reshape(-1)

    def unpack(self, data: Bytes, rows: int, columns: int) -> BcqTensor:
        """The inverse of `pack`.

        Raises:
            EdgeqError: ``data`` has the wrong size.
        """
        layout.check_size(data, self.packed_size(rows, columns), f"bcq w{self.bits} [{rows}, {columns}]")
        groups, padded = layout.group_count(columns, self.group_size), layout.round_up(columns, layout.K_MULTIPLE)
        tiles = data.reshape(-1, self._tile_bytes(columns))
        lines = np.empty((len(tiles), TILE_ROWS * padded * self.bits // 8), np.uint8)
        halfs = np.empty((len(tiles), groups, self.bits + 1, TILE_ROWS), np.float16)
        position, trailer = 0, 2 * TILE_ROWS * (self.bits + 1)
        for group, (start, end) in enumerate(layout.group_bounds(columns, self.group_size)):
            first, size = start * TILE_ROWS * self.bits // 8, (end - start) * TILE_ROWS * self.bits // 8
            lines[:, first : first + size] = tiles[:, position : position + size]
            position += size
            raw = np.ascontiguousarray(tiles[:, position : position + trailer])
            halfs[:, group] = raw.view(np.float16).reshape(len(tiles), self.bits + 1, TILE_ROWS)
            position += trailer
        values = halfs.transpose(0, 3, 1, 2).reshape(-1, groups, self.bits + 1)[:rows]
        codes = self._unpack_codes(lines, padded)[:rows, :columns]
        return BcqTensor(
            np.ascontiguousarray(codes), np.ascontiguousarray(values[:, :, :-1]), np.ascontiguousarray(values[:, :, -1])
        )

    def _pack_codes(self, codes: Bytes) -> Bytes:
        planes = [np.packbits((codes >> plane) & 1, axis=1, bitorder="little") for plane in range(self.bits)]
        lines = np.stack(planes, axis=-1).reshape(-1, TILE_ROWS, codes.shape[1] // RUN, self.bits)
        return np.ascontiguousarray(lines[:, _LANE_ROW].transpose(0, 2, 3, 1)).reshape(len(lines), -1)

    def _unpack_codes(self, lines: Bytes, columns: int) -> Bytes:
        by_lane = lines.reshape(len(lines), columns // RUN, self.bits, TILE_ROWS).transpose(0, 3, 1, 2)
        by_row = np.empty_like(by_lane, order="C")
        by_row[:, _LANE_ROW] = by_lane
        codes = np.zeros((len(lines) * TILE_ROWS, columns), np.uint8)
        for plane in range(self.bits):
            packed = np.ascontiguousarray(by_row[..., plane]).reshape(len(codes), -1)
            codes |= np.unpackbits(packed, axis=1, bitorder="little") << plane
        return codes


def from_uniform(tensor: UniformTensor, fmt: UniformFormat) -> BcqTensor:
    """The binary-coded image of a uniform matrix: α_i = s·2^(i−1), z = s·(2^bits − 1)/2 − s·zp.

    Exact in real arithmetic; float16 rounds z, and α only below its normal range (LUT-GEMM, section 3, and
    docs/formats.md).

    Raises:
        EdgeqError: The uniform format has more bits than bcq has planes, or a coefficient does not fit float16.
    """
    BcqFormat(fmt.bits, fmt.group_size)
    scales = tensor.scales.astype(np.float64)
    zero_points = 2.0 ** (fmt.bits - 1) if tensor.zero_points is None else tensor.zero_points.astype(np.float64)
    coefficients = scales[:, :, None] * 2.0 ** np.arange(-1, fmt.bits - 1)
    offsets = scales * ((2**fmt.bits - 1) / 2 - zero_points)
    largest = max(np.abs(coefficients).max(initial=0), np.abs(offsets).max(initial=0))
    if largest > np.finfo(np.float16).max:
        raise EdgeqError("coefficients do not fit float16", found=f"{largest:.3g}", wanted="at most 65504")
    return BcqTensor(tensor.codes, coefficients.astype(np.float16), offsets.astype(np.float16))
