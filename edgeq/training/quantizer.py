# SPDX-License-Identifier: Apache-2.0
"""The quantizer of one layer: scales γ·max|w|/q_max with a γ that is trained, and fixed zero points.

γ is called so after "Optimizing LLMs through Quantization" (arXiv 2411.06084). Its text is not at hand; the definition
is ours: Δ(γ) = γ·max|w|/(2^(b−1) − 1), for asymmetric formats γ·(max − min)/(2^b − 1).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from edgeq.errors import EdgeqError
from edgeq.formats import Format, UniformFormat, UniformTensor
from edgeq.methods.gamma import steps_at_one
from edgeq.training.fake_quantize import fake_quantize, to_float16
from edgeq.training.gradients import Gradient

GammaScope = Literal["group", "channel", "tensor", "off"]
GAMMA_SCOPES: tuple[GammaScope, ...] = get_args(GammaScope)


def trainable_format(fmt: Format, where: str) -> UniformFormat:
    """The format, if it can be trained.

    Raises:
        EdgeqError: It cannot.
    """
    if not isinstance(fmt, UniformFormat):
        raise EdgeqError(
            "format cannot be trained",
            field=where,
            found=fmt.name,
            wanted="uniform",
            remedy="choose a scheme such as w4g128, w3 or w2g32-asym",
        )
    return fmt


class LayerQuantizer(nn.Module):
    """Fake-quantizes the matrix of a layer.

    Args:
        weight: float32 ``[N, K]``, from whose range γ is measured.
        fmt: The number format.
        start: The matrix quantized already: where scales begin, and the zero points that stay.
        scope: What shares a γ: a group, a row (``channel``), the whole matrix; ``off``: no γ, the scales stay.
        gradient: What stands for the quantizer's derivative.

    Attributes:
        log_gamma: The logarithm of γ, so that it stays positive and learns at the same relative speed everywhere;
            float32 ``[N, G]``, ``[N, 1]``, ``[1, 1]``.
        unit: Scales at γ = 1, float32 ``[N, G]``; negative where the format's extra level is on the positive side.
        zero_points: Whole float32 ``[N, G]``.
    """

    unit: Tensor
    zero_points: Tensor

    def __init__(
        self, weight: Tensor, fmt: UniformFormat, start: UniformTensor, scope: GammaScope, gradient: Gradient
    ) -> None:
        super().__init__()
        self.format, self.gradient, self.columns = fmt, gradient, weight.shape[1]
        scales = torch.from_numpy(start.scales).float()
        whole = steps_at_one(weight, fmt).clamp(min=torch.finfo(torch.float32).tiny)
        gamma = _shared(scales.abs() / whole, scope)
        self.log_gamma = nn.Parameter(gamma.log(), requires_grad=scope != "off")
        self.register_buffer("unit", scales / gamma)
        half = torch.full_like(scales, 2 ** (fmt.bits - 1))
        self.register_buffer("zero_points", half if start.zero_points is None else _floats(start.zero_points))

    @property
    def top(self) -> int:
        """The largest code."""
        return (1 << self.format.bits) - 1

    def scales(self) -> Tensor:
        """float32 ``[N, G]`` that float16 represents."""
        return to_float16(self.log_gamma.exp() * self.unit)

    def forward(self, weight: Tensor) -> Tensor:
        """``[N, K]`` to what the packed matrix decodes to, float32 ``[N, K]``."""
        groups = self.unit.shape[1]
        size = self.format.group_size or self.columns
        padded = pad(weight, (0, groups * size - self.columns))
        flat = padded.reshape(-1, size)
        scales, zeros = self.scales().reshape(-1, 1), self.zero_points.reshape(-1, 1)
        rounded = fake_quantize(flat, scales, zeros, self.top, self.gradient)
        return rounded.reshape(padded.shape)[:, : self.columns]

    @torch.no_grad()
    def stored(self) -> tuple[Tensor, Tensor | None]:
        """Scales float16 ``[N, G]`` and zero points uint8 ``[N, G]``, ``None`` where the format fixes them."""
        zeros = None if self.format.symmetric else self.zero_points.to(torch.uint8).cpu()
        return self.scales().half().cpu(), zeros


def _shared(gamma: Tensor, scope: GammaScope) -> Tensor:
    """The geometric mean of γ ``[N, G]`` over what shares it; groups of zeros only count as 1."""
    logarithms = torch.where(gamma > 0, gamma, 1.0).log()
    if scope == "channel":
        logarithms = logarithms.mean(1, keepdim=True)
    elif scope != "group":
        logarithms = logarithms.mean().reshape(1, 1)
    return logarithms.exp()


def _floats(zero_points: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    return torch.from_numpy(zero_points.astype(np.float32))
