# SPDX-License-Identifier: Apache-2.0
"""The weight layout of ONNX Runtime's com.microsoft.MatMulNBits and GatherBlockQuantized.

Both read ``w = scale·(code − zero point)`` in blocks along K. Codes lie row by row, each row padded to whole
blocks, the lowest bits of a byte first; scales are float32 ``[N, blocks]``; zero points, packed like the codes, are
bytes ``[N, ceil(blocks·bits/8)]`` and default to 2^(bits−1). Scales may be negative, as edgeq's symmetric ones are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeq.formats import UniformFormat, UniformTensor
from edgeq.formats.layout import Bytes, group_count, pad, round_up

BITS = (2, 4, 8)
BLOCK_SIZES = (32, 64, 128, 256)  # of those that ONNX Runtime takes, the ones edgeq's formats have


@dataclass(frozen=True)
class BlockLayout:
    """Shapes of one ``[rows, columns]`` matrix in this layout.

    Attributes:
        format: The uniform format; its group size is the block size.
        rows: N.
        columns: K.
    """

    format: UniformFormat
    rows: int
    columns: int

    @property
    def blocks(self) -> int:
        """Blocks in a row."""
        return group_count(self.columns, self.format.group_size)

    @property
    def padded_columns(self) -> int:
        """K up to the end of the last block."""
        return self.blocks * self.format.group_size

    @property
    def codes_shape(self) -> tuple[int, int, int]:
        """Shape of the packed codes, as MatMulNBits wants it."""
        return self.rows, self.blocks, self.format.group_size * self.format.bits // 8

    @property
    def zero_points_shape(self) -> tuple[int, int] | None:
        """Shape of the packed zero points; ``None`` where they have their default."""
        return None if self.format.symmetric else (self.rows, -(-self.blocks * self.format.bits // 8))

    @property
    def size(self) -> int:
        """Stored bytes."""
        zero_points = self.zero_points_shape
        return (
            int(np.prod(self.codes_shape))
            + 4 * self.rows * self.blocks
            + (int(np.prod(zero_points)) if zero_points else 0)
        )

    def pack_codes(self, tensor: UniformTensor) -> Bytes:
        """The codes as uint8 ``codes_shape``."""
        padded = pad(tensor.codes, self.rows, self.padded_columns)
        return _merge(padded, self.format.bits).reshape(self.codes_shape)

    def pack_scales(self, tensor: UniformTensor) -> NDArray[np.float32]:
        """The scales as float32 ``[N, blocks]``."""
        return tensor.scales.astype(np.float32)

    def pack_zero_points(self, tensor: UniformTensor) -> Bytes:
        """The zero points as uint8 ``zero_points_shape``."""
        assert tensor.zero_points is not None
        columns = round_up(self.blocks, 8 // self.format.bits)
        return _merge(pad(tensor.zero_points, self.rows, columns), self.format.bits)


Unpack = Callable[[ir.TensorProtocol, BlockLayout], UniformTensor]


def unpack(packed: ir.TensorProtocol, layout: BlockLayout) -> UniformTensor:
    """Codes, scales and zero points of a weight in edgeq's tile order."""
    return layout.format.unpack(packed.numpy().reshape(-1), layout.rows, layout.columns)


def lazy_tensors(
    packed: ir.TensorProtocol, layout: BlockLayout, name: str, read: Unpack = unpack
) -> list[ir.LazyTensor]:
    """Codes, scales and, unless they have their default, zero points; converted when they are written, not before.

    Args:
        packed: uint8 ``[packed_size]`` in edgeq's tile order.
        layout: Format and shape.
        name: Stem of the tensors' names.
        read: `unpack`, or a caching version of it.
    """

    def lazy(
        part: str, dtype: ir.DataType, shape: tuple[int, ...], pack: Callable[[UniformTensor], Any]
    ) -> ir.LazyTensor:
        full_name = f"{name}.{part}"
        return ir.LazyTensor(
            lambda: ir.tensor(pack(read(packed, layout)), name=full_name), dtype, ir.Shape(shape), name=full_name
        )

    tensors = [
        lazy("codes", ir.DataType.UINT8, layout.codes_shape, layout.pack_codes),
        lazy("scales", ir.DataType.FLOAT, (layout.rows, layout.blocks), layout.pack_scales),
    ]
    if layout.zero_points_shape is not None:
        tensors.append(lazy("zero_points", ir.DataType.UINT8, layout.zero_points_shape, layout.pack_zero_points))
    return tensors


def _merge(codes: Bytes, bits: int) -> Bytes:
    """Codes ``[rows, columns]`` to bytes ``[rows, columns·bits/8]``, the first code in the lowest bits."""
    fields = codes.reshape(len(codes), -1, 8 // bits)
    merged = fields[:, :, 0].copy()
    for index in range(1, fields.shape[2]):
        merged |= fields[:, :, index] << np.uint8(bits * index)
    return merged
