# SPDX-License-Identifier: Apache-2.0
"""Uniform weights with two more levels, plus and minus a part of a step, of 3 or 4 bits (docs/formats.md, dint).

Most weights of a layer lie near zero, where half steps halve the error, for the price of the two outermost levels:
the denormal levels of dINT (arXiv 2311.05161). The part is a half, a quarter or an eighth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.formats import layout
from edgeq.formats.layout import Bytes, Floats, Halfs
from edgeq.formats.uniform import UniformFormat, UniformTensor

BITS = (3, 4)
# Parts of a step that the two levels may be, 1/denominator, and how schemes spell them.
NAMES = {2: "dint", 4: "dint0.25", 8: "dint0.125"}


@dataclass(frozen=True)
class DintTensor:
    """A quantized matrix.

    Attributes:
        codes: uint8 ``[N, K]``, values in [0, 2^bits).
        scales: float16 ``[N, G]``.
        zero_points: uint8 ``[N, G]`` in [0, 2^bits − 3], or ``None`` for the symmetric one, 2^(bits−1) − 2.
    """

    codes: Bytes
    scales: Halfs
    zero_points: Bytes | None = None


@dataclass(frozen=True)
class DintFormat:
    """The dint format.

    Attributes:
        bits: 3 or 4.
        group_size: Weights per scale along K, a multiple of 32; 0: one scale per row.
        symmetric: Whether the zero point is fixed at 2^(bits−1) − 2.
        denominator: 2, 4 or 8: the last two codes are plus and minus 1/denominator of a step.

    Raises:
        EdgeqError: Bits, group size or denominator are not supported.
    """

    name: ClassVar[str] = "dint"
    bits: int
    group_size: int = 0
    symmetric: bool = True
    denominator: int = 2

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise EdgeqError("unsupported bits", field=f"format {self.name}", found=self.bits, wanted="3 or 4")
        if self.denominator not in NAMES:
            raise EdgeqError(
                "unsupported denominator", field=f"format {self.name}", found=self.denominator, wanted="2, 4 or 8"
            )
        layout.check_group_size(self.group_size, f"format {self.name}")

    @classmethod
    def from_scheme(cls, bits: int, group_size: int, symmetry: str | None, denominator: int = 2) -> DintFormat:
        """The format that the parts of a scheme string name; symmetric unless it says ``asym``."""
        return cls(bits, group_size, symmetry != "asym", denominator)

    @property
    def scheme_suffix(self) -> str:
        """What follows the bits in a scheme string."""
        group = f"g{self.group_size}" if self.group_size else ""
        return f"{group}-{NAMES[self.denominator]}" + ("" if self.symmetric else "-asym")

    @property
    def special(self) -> float:
        """c: the level of the last code but one, in steps; the last code is −c."""
        return 1 / self.denominator

    @property
    def top(self) -> int:
        """The largest code of a whole step; the next is plus, the last minus `special`."""
        return (1 << self.bits) - 3

    @property
    def zero_point(self) -> int:
        """The symmetric zero point."""
        return (1 << self.bits - 1) - 2

    @property
    def _uniform(self) -> UniformFormat:
        """The format whose bytes these are."""
        return UniformFormat(self.bits, self.group_size, self.symmetric)

    def packed_size(self, rows: int, columns: int) -> int:
        """Bytes of a packed ``[rows, columns]`` matrix."""
        return self._uniform.packed_size(rows, columns)

    def pack(self, tensor: DintTensor) -> Bytes:
        """The packed bytes, uint8 ``[packed_size]``."""
        return self._uniform.pack(UniformTensor(tensor.codes, tensor.scales, tensor.zero_points))

    def unpack(self, data: Bytes, rows: int, columns: int) -> DintTensor:
        """The inverse of `pack`.

        Raises:
            EdgeqError: ``data`` has the wrong size.
        """
        tensor = self._uniform.unpack(data, rows, columns)
        return DintTensor(tensor.codes, tensor.scales, tensor.zero_points)

    def decode(self, tensor: DintTensor) -> Floats:
        """The weights as float32 ``[N, K]``."""
        columns = tensor.codes.shape[1]
        scales = layout.expand_groups(tensor.scales.astype(np.float32), columns, self.group_size)
        steps = tensor.codes.astype(np.float32) - self._zeros(tensor.scales, tensor.zero_points, columns)
        steps[tensor.codes == self.top + 1] = self.special
        steps[tensor.codes == self.top + 2] = -self.special
        return np.asarray(steps * scales, np.float32)

    def encode(self, weights: Floats, scales: Halfs, zero_points: Bytes | None = None) -> DintTensor:
        """The nearest levels; of two equally near ones, a whole step.

        Args:
            weights: float32 ``[N, K]``.
            scales: float16 ``[N, G]``; where they are 0 every weight becomes 0.
            zero_points: As in `DintTensor`.
        """
        columns = weights.shape[1]
        scale = layout.expand_groups(scales.astype(np.float64), columns, self.group_size)
        zeros = self._zeros(scales, zero_points, columns)
        steps = np.divide(weights, scale, out=np.zeros(weights.shape), where=scale != 0)
        codes = np.clip(np.rint(steps) + zeros, 0, self.top)
        error = np.abs(steps - (codes - zeros))
        for code, level in ((self.top + 1, self.special), (self.top + 2, -self.special)):
            codes[np.abs(steps - level) < error] = code
        return DintTensor(codes.astype(np.uint8), scales, zero_points)

    def _zeros(self, scales: Halfs, zero_points: Bytes | None, columns: int) -> NDArray[np.float32]:
        zeros = np.full(scales.shape, self.zero_point, np.float32) if zero_points is None else zero_points
        return np.asarray(layout.expand_groups(zeros.astype(np.float32), columns, self.group_size))
