# SPDX-License-Identifier: Apache-2.0
"""An embedding with packed weights: reference in PyTorch, operator in ONNX."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeq.quantization.linear import PackedWeight
from edgeq.quantization.operators import DOMAIN, VERSION, gather_operator


class QuantEmbedding(nn.Module):
    """Rows of a packed matrix.

    Args:
        weight: The packed ``[vocabulary, width]`` matrix; a tied head holds the same object.
        scale: What the rows are multiplied by (Gemma 3 scales inside its embedding).
    """

    def __init__(self, weight: PackedWeight, scale: float = 1.0) -> None:
        super().__init__()
        self.weight, self.scale = weight, scale
        self.operator, self.attributes = gather_operator(weight.format, weight.rows, weight.columns)

    def forward(self, indices: Tensor) -> Tensor:
        """int64 ``[...]`` to float32 ``[..., width]``."""
        rows = self._emit(indices) if torch.onnx.is_in_onnx_export() else self.weight.dequantize()[indices]
        return rows if self.scale == 1.0 else rows * self.scale

    def _emit(self, indices: Tensor) -> Tensor:
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{self.operator}",
            (indices, self.weight.data),
            self.attributes,
            dtype=torch.float32,
            shape=(*indices.shape, self.weight.columns),
            version=VERSION,
        )
