# SPDX-License-Identifier: Apache-2.0
"""Which operator multiplies by which format (docs/operators.md)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, CodebookFormat, DintFormat, Format, UniformFormat
from edgeq.formats.layout import Bytes, Floats
from edgeq.schemes import ActivationMode

DOMAIN = "com.edgeq"
VERSION = 1
ROW_SUMS_INPUT = 7  # of DintGemm; before it X and up to three weights with their biases
# The operator's words for modes of activation quantization (attribute activation_quantization).
QUANTIZATIONS: dict[ActivationMode, str] = {
    "block": "block",
    "token": "token",
    "token-asym": "token_asym",
    "static": "static",
}
# The value types are those that torch.onnx.ops.symbolic takes.
Attributes = dict[str, int | float | str | bool | Sequence[int] | Sequence[float] | Sequence[str] | Sequence[bool]]


def matmul_operator(
    fmt: Format, rows: int, columns: int, activation_bits: int | None, activation_mode: ActivationMode = "block"
) -> tuple[str, Attributes]:
    """Operator type and attributes of a linear layer ``[rows, columns]``.

    Args:
        fmt: Format of the weights.
        rows: N.
        columns: K.
        activation_bits: As in `edgeq.schemes.Scheme`.
        activation_mode: As in `edgeq.schemes.Scheme`; ``static`` also needs the attribute ``activation_scale``, and
            ``token-asym`` the input of row sums.

    Raises:
        EdgeqError: No operator multiplies this format by activations of these bits.
    """
    common: Attributes = {"K": columns, "N": rows, "bits": fmt.bits, "group_size": fmt.group_size}
    match fmt, activation_bits:
        case ((UniformFormat() | DintFormat() | CodebookFormat()), (None | 8 | 16 | 32)):
            activations: Attributes = {"activation_bits": activation_bits or 8}
            if activation_mode != "block":
                activations["activation_quantization"] = QUANTIZATIONS[activation_mode]
            return "DintGemm", common | _format_attributes(fmt) | activations
        case BcqFormat(), (None | 32):
            return "LutGemm", common | {"table_bits": 16 if activation_bits == 32 else 8}
    raise EdgeqError(
        "no operator for this scheme", field=f"format {fmt.name}", found=f"a{activation_bits}", wanted="a32, or no a…"
    )


def gather_operator(fmt: Format, rows: int, columns: int) -> tuple[str, Attributes]:
    """Operator type and attributes of an embedding ``[rows, columns]``."""
    return "QuantGather", {"K": columns, "N": rows, "bits": fmt.bits, "group_size": fmt.group_size} | (
        _format_attributes(fmt)
    )


def _format_attributes(fmt: Format) -> Attributes:
    """What tells formats of the same bits and groups apart."""
    has_zero_point = isinstance(fmt, UniformFormat | DintFormat) and not fmt.symmetric
    attributes: Attributes = {"format": fmt.name, "has_zero_point": int(has_zero_point)}
    if isinstance(fmt, DintFormat) and fmt.denominator != 2:
        attributes["denominator"] = fmt.denominator
    return attributes


def row_sums(fmt: Format, packed: Bytes, rows: int, columns: int) -> Floats:
    """The sums of a packed matrix's rows, float32 ``[rows]``: what zero points of activations are multiplied by."""
    weights = fmt.decode(fmt.unpack(packed, rows, columns))  # type: ignore[arg-type]
    return np.asarray(weights.sum(1, dtype=np.float64), np.float32)
