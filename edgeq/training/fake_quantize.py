# SPDX-License-Identifier: Apache-2.0
"""The exact quantizer forwards, with gradients for weights and scales backwards."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from edgeq.methods.grids.uniform import UniformGrid
from edgeq.training.gradients import Gradient, slope

SMALLEST_SCALE = 2.0**-24  # float16's smallest number


def fake_quantize(weights: Tensor, scale: Tensor, zero_point: Tensor, top: int, gradient: Gradient = "ste") -> Tensor:
    """Weights as the packed format decodes them: s·(clamp(round(w/s) + z, 0, top) − z).

    Gradients: of a weight the `slope`; of a scale level − slope·w/s, which is LSQ's (arXiv 1902.08153, equation 3):
    level − w/s inside the range and the outermost level beyond it, times 1/√(g·q_max) (section 2.2).

    Args:
        weights: float32 ``[R, g]``.
        scale: float32 ``[R, 1]`` that float16 represents; 0 makes every weight 0.
        zero_point: Whole float32 ``[R, 1]``.
        top: The largest code.
        gradient: What stands for the derivative.
    """
    return cast("Tensor", _FakeQuantize.apply(weights, scale, zero_point, top, gradient))  # type: ignore[no-untyped-call]


def to_float16(scale: Tensor) -> Tensor:
    """Rounds to what float16 stores, away from 0 where it would vanish; the gradient passes straight through."""
    tiny = SMALLEST_SCALE
    held = torch.where((scale != 0) & (scale.abs() < tiny), torch.copysign(torch.full_like(scale, tiny), scale), scale)
    return scale + (held.clamp(-65504, 65504).half().float() - scale).detach()


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, scale: Tensor, zero_point: Tensor, top: int, gradient: Gradient) -> Tensor:
        ctx.save_for_backward(weights, scale, zero_point)
        ctx.top, ctx.gradient = top, gradient
        return UniformGrid.of(scale, zero_point, top).nearest(weights)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> Any:
        weights, scale, zero_point = ctx.saved_tensors
        grid = UniformGrid.of(scale, zero_point, ctx.top)
        steps = weights * grid.inverse
        through = slope(steps + zero_point, ctx.top, ctx.gradient)
        by_scale = None
        if ctx.needs_input_grad[1]:
            levels = (steps.round() + zero_point).clamp_(0, ctx.top).sub_(zero_point)
            by_scale = (levels.sub_(steps.mul_(through)) * outputs[0]).sum(1, keepdim=True)
            by_scale *= (weights.shape[1] * (ctx.top // 2)) ** -0.5
        return outputs[0] * through, by_scale, None, None, None
