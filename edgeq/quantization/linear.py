# SPDX-License-Identifier: Apache-2.0
"""A linear layer with packed weights: reference in PyTorch, operator in ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgeq.errors import EdgeqError
from edgeq.formats import Format
from edgeq.quantization.activations import fake_quantize
from edgeq.quantization.corrections import Correction, check_corrections
from edgeq.quantization.operators import DOMAIN, ROW_SUMS_INPUT, VERSION, matmul_operator, row_sums
from edgeq.schemes import ActivationMode


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

    The eager forward multiplies by the decoded weights; it is the reference for the operator. Where 8-bit activations
    are part of the scheme it multiplies what the operator does, otherwise float activations.

    Args:
        weight: The packed ``[N, K]`` matrix.
        activation_bits: As in `edgeq.schemes.Scheme`.
        bias: float32 ``[N]`` or ``None``.
        corrections: What is added to the product, in this order.
        activation_mode: As in `edgeq.schemes.Scheme`.
        activation_scale: The step of the activations in mode ``static``.

    Raises:
        EdgeqError: A correction has another shape than the weight, or a static scale is missing.
    """

    bias: Tensor | None
    row_sums: Tensor | None

    def __init__(
        self,
        weight: PackedWeight,
        activation_bits: int | None = None,
        bias: Tensor | None = None,
        corrections: Sequence[Correction] = (),
        activation_mode: ActivationMode = "block",
        activation_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("bias", bias)
        check_corrections(corrections, weight.rows, weight.columns)
        self.corrections = nn.ModuleList(corrections)
        self.in_features, self.out_features = weight.columns, weight.rows
        self.activation_bits, self.activation_mode = activation_bits, activation_mode
        self.activation_scale = activation_scale
        self.operator, self.attributes = matmul_operator(
            weight.format, weight.rows, weight.columns, activation_bits, activation_mode
        )
        if activation_mode == "static":
            self.attributes["activation_scale"] = checked_scale(activation_scale)
        self.register_buffer("row_sums", _row_sums(weight) if activation_mode == "token-asym" else None)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., K]`` to ``[..., N]``, float32."""
        exporting = torch.onnx.is_in_onnx_export()
        y = self._emit(x) if exporting else self._multiply(x)
        for correction in self.corrections:
            y = correction(x, y)
        return y

    def _multiply(self, x: Tensor) -> Tensor:
        if self.activation_bits == 8:
            x = fake_quantize(x, self.activation_mode, self.weight.format.group_size, self.activation_scale)
        return nn.functional.linear(x, self.weight.dequantize(), self.bias)

    def _emit(self, x: Tensor) -> Tensor:
        inputs: list[Tensor | None] = [x, self.weight.data, *([] if self.bias is None else [self.bias])]
        if self.row_sums is not None:
            inputs += [None] * (ROW_SUMS_INPUT - len(inputs)) + [self.row_sums]
        shape = (*x.shape[:-1], self.out_features)
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{self.operator}", inputs, self.attributes, dtype=x.dtype, shape=shape, version=VERSION
        )


def _row_sums(weight: PackedWeight) -> Tensor:
    return torch.from_numpy(row_sums(weight.format, weight.data.numpy(), weight.rows, weight.columns))


def checked_scale(scale: float | None, layer: str | None = None) -> float:
    """A scale of static activation quantization.

    Args:
        scale: The scale.
        layer: Whose it is.

    Raises:
        EdgeqError: It is missing, zero, negative or not finite.
    """
    if scale is None or not 0 < scale < float("inf"):
        raise EdgeqError(
            "no scale for static activation quantization",
            field=layer,
            found=scale,
            wanted="a positive number from calibration",
            remedy="add --calibration FILE; a layer outside the blocks, which it does not observe, takes a scale per "
            f"token: --layer {layer or 'NAME'}=w4a8t",
        )
    return scale
