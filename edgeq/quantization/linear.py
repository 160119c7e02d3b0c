# SPDX-License-Identifier: Apache-2.0
"""A linear layer with packed weights: reference in PyTorch, operator in ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgeq.formats import Format
from edgeq.quantization.corrections import Correction, check_corrections
from edgeq.quantization.operators import DOMAIN, VERSION, matmul_operator


class PackedWeight(nn.Module):
    """A packed matrix; a tied embedding and head hold the same one.

    Args:
        data: uint8 ``[fmt.packed_size(rows, columns)]``.
        fmt: The number format.
        rows: N, output features or vocabulary.
        columns: K, input features or embedding width.
    """

    data: Tensor

    def __init__(self, data: Tensor, fmt: Format, rows: int, columns: int) -> None:
        super().__init__()
        self.register_buffer("data", data)
        self.format, self.rows, self.columns = fmt, rows, columns

    def dequantize(self) -> Tensor:
        """The weights as float32 ``[N, K]``."""
        fmt = self.format
        return torch.from_numpy(fmt.decode(fmt.unpack(self.data.numpy(), self.rows, self.columns)))  # type: ignore[arg-type]


class QuantLinear(nn.Module):
    """``y = W x + bias`` with quantized ``W``.

    The eager forward multiplies float activations by the decoded weights; it is the reference for the operator.

    Args:
        weight: The packed ``[N, K]`` matrix.
        activation_bits: As in `edgeq.schemes.Scheme`.
        bias: float32 ``[N]`` or ``None``.
        corrections: What is added to the product, in this order.

    Raises:
        EdgeqError: A correction has another shape than the weight.
    """

    bias: Tensor | None

    def __init__(
        self,
        weight: PackedWeight,
        activation_bits: int | None = None,
        bias: Tensor | None = None,
        corrections: Sequence[Correction] = (),
    ) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("bias", bias)
        check_corrections(corrections, weight.rows, weight.columns)
        self.corrections = nn.ModuleList(corrections)
        self.in_features, self.out_features = weight.columns, weight.rows
        self.operator, self.attributes = matmul_operator(weight.format, weight.rows, weight.columns, activation_bits)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., K]`` to ``[..., N]``, float32."""
        exporting = torch.onnx.is_in_onnx_export()
        y = self._emit(x) if exporting else nn.functional.linear(x, self.weight.dequantize(), self.bias)
        for correction in self.corrections:
            y = correction(x, y)
        return y

    def _emit(self, x: Tensor) -> Tensor:
        inputs = (x, self.weight.data) if self.bias is None else (x, self.weight.data, self.bias)
        shape = (*x.shape[:-1], self.out_features)
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{self.operator}", inputs, self.attributes, dtype=x.dtype, shape=shape, version=VERSION
        )
