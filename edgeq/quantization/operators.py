# SPDX-License-Identifier: Apache-2.0
"""Which operator multiplies by which format (docs/operators.md)."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, CodebookFormat, DintFormat, Format, UniformFormat

DOMAIN = "com.edgeq"
VERSION = 1
# The value types are those that torch.onnx.ops.symbolic takes.
Attributes = dict[str, int | float | str | bool | Sequence[int] | Sequence[float] | Sequence[str] | Sequence[bool]]


def matmul_operator(fmt: Format, rows: int, columns: int, activation_bits: int | None) -> tuple[str, Attributes]:
    """Operator type and attributes of a linear layer ``[rows, columns]``.

    Raises:
        EdgeqError: No operator multiplies this format by activations of these bits.
    """
    common: Attributes = {"K": columns, "N": rows, "bits": fmt.bits, "group_size": fmt.group_size}
    match fmt, activation_bits:
        case ((UniformFormat() | DintFormat()), (None | 8 | 32)):
            return "DintGemm", common | {
                "format": fmt.name,
                "has_zero_point": int(not fmt.symmetric),
                "activation_bits": activation_bits or 8,
            }
        case CodebookFormat(), (None | 8 | 32):
            return "DintGemm", common | {
                "format": fmt.name,
                "has_zero_point": 0,
                "activation_bits": activation_bits or 8,
            }
        case BcqFormat(), (None | 32):
            return "LutGemm", common | {"table_bits": 16 if activation_bits == 32 else 8}
    raise EdgeqError(
        "no operator for this scheme", field=f"format {fmt.name}", found=f"a{activation_bits}", wanted="a32, or no a…"
    )


def gather_operator(fmt: Format, rows: int, columns: int) -> tuple[str, Attributes]:
    """Operator type and attributes of an embedding ``[rows, columns]``."""
    has_zero_point = isinstance(fmt, UniformFormat | DintFormat) and not fmt.symmetric
    return "QuantGather", {
        "K": columns,
        "N": rows,
        "bits": fmt.bits,
        "group_size": fmt.group_size,
        "has_zero_point": int(has_zero_point),
        "format": fmt.name,
    }
