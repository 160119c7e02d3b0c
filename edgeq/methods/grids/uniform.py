# SPDX-License-Identifier: Apache-2.0
"""Uniform grids: levels s·(q − z) with a float16 scale and a whole zero point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import UniformFormat, UniformTensor
from edgeq.methods.grids.base import Grid, GridOptions

# Fractions of the range that the error search tries; finer or lower ones change the error by less than 1 %.
RATIOS = torch.arange(1.0, 0.49, -0.05).tolist()


@dataclass(frozen=True)
class UniformGrid(Grid):
    """Levels s·(q − z), q = 0 … top.

    Attributes:
        scale: s, float32 ``[N, 1]`` that float16 represents; 0 where all weights are 0.
        zero_point: z, float32 ``[N, 1]``, whole, in [0, top].
        inverse: 1 / s, or 0.
        top: The largest code.
    """

    scale: Tensor
    zero_point: Tensor
    inverse: Tensor
    top: int

    @classmethod
    def of(cls, scale: Tensor, zero_point: Tensor, top: int) -> UniformGrid:
        """The grid of a scale and a zero point."""
        return cls(scale, zero_point, torch.where(scale == 0, 0.0, 1.0 / scale), top)

    def round(self, columns: Tensor) -> Tensor:
        """As `Grid.round`."""
        return self._steps(columns).to(torch.uint8)

    def decode(self, codes: Tensor) -> Tensor:
        """As `Grid.decode`."""
        return (codes.float() - self.zero_point) * self.scale

    def nearest(self, columns: Tensor) -> Tensor:
        """As `Grid.nearest`, without the way through codes."""
        return self._steps(columns).sub_(self.zero_point).mul_(self.scale)

    def _steps(self, columns: Tensor) -> Tensor:
        return (columns * self.inverse).round_().add_(self.zero_point).clamp_(0, self.top)


def fit(weights: Tensor, fmt: UniformFormat, importance: Tensor | None, options: GridOptions) -> UniformGrid:
    """A grid for each row of ``weights``, float32 ``[N, g]``; arguments and errors as in `fit_grid`."""
    low, high = weights.amin(1, keepdim=True), weights.amax(1, keepdim=True)
    if not (torch.isfinite(low).all() and torch.isfinite(high).all()):
        raise EdgeqError("weights are not finite", found="NaN or infinity", wanted="finite weights")
    ratios = options.ratios(RATIOS, _ratio_at_gamma_one(fmt))
    candidates = [_spanning(low * ratio, high * ratio, fmt) for ratio in ratios]
    best, least = candidates[0], torch.full_like(low, torch.inf)
    workspace = weights.new_empty(2, *weights.shape)
    for candidate in candidates if len(candidates) > 1 else []:
        error = _error(candidate, weights, importance, options.order, workspace)
        better = error < least
        least = torch.where(better, error, least)
        scale = torch.where(better, candidate.scale, best.scale)
        best = replace(best, scale=scale, zero_point=torch.where(better, candidate.zero_point, best.zero_point))
    return UniformGrid.of(best.scale, best.zero_point, best.top)


def assemble(fmt: UniformFormat, codes: Tensor, grids: Sequence[UniformGrid]) -> UniformTensor:
    """Codes uint8 ``[N, K]`` and the grid of each group as one matrix."""
    scales = torch.cat([grid.scale for grid in grids], 1).half()
    zeros = None if fmt.symmetric else torch.cat([grid.zero_point for grid in grids], 1).to(torch.uint8).numpy()
    return UniformTensor(codes.contiguous().numpy(), scales.numpy(), zeros)


def restore(fmt: UniformFormat, tensor: UniformTensor) -> list[UniformGrid]:
    """The grid of each group of a matrix."""
    scales = torch.from_numpy(tensor.scales).float()
    half = torch.full_like(scales, 2 ** (fmt.bits - 1))
    zeros = half if tensor.zero_points is None else torch.from_numpy(tensor.zero_points).float()
    return [
        UniformGrid.of(scale, zero, 2**fmt.bits - 1)
        for scale, zero in zip(scales.split(1, 1), zeros.split(1, 1), strict=True)  # type: ignore[no-untyped-call]
    ]


def _error(grid: UniformGrid, weights: Tensor, importance: Tensor | None, order: int, workspace: Tensor) -> Tensor:
    """Sum of the squared or cubic errors of each row; ``workspace`` is float32 ``[2, N, g]``."""
    steps = torch.mul(weights, grid.inverse, out=workspace[0])
    levels = torch.round(steps, out=workspace[1]).add_(grid.zero_point).clamp_(0, grid.top).sub_(grid.zero_point)
    errors = levels.sub_(steps).abs_().pow_(order)
    if importance is not None:
        errors = errors.mul_(importance)
    error = errors.sum(1, keepdim=True) * grid.scale.abs() ** order
    return torch.where(grid.scale == 0, torch.inf, error)


def _ratio_at_gamma_one(fmt: UniformFormat) -> float:
    """γ = 1 has the outermost levels ±(2^(b−1) − 1) at the largest weight; symmetric codes reach one level further."""
    half: int = 2 ** (fmt.bits - 1)
    return half / (half - 1) if fmt.symmetric else 1.0


def _spanning(low: Tensor, high: Tensor, fmt: UniformFormat) -> UniformGrid:
    """The grid from the lowest to the highest weight; both ``[N, 1]``."""
    top = 2**fmt.bits - 1
    if fmt.symmetric:
        # The side with one more level faces the larger tail; the sign of the scale turns it.
        half = 2 ** (fmt.bits - 1)
        scale = as_float16(torch.where(low.abs() >= high.abs(), low, high) / -half)
        return UniformGrid.of(scale, torch.full_like(scale, half), top)
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = as_float16((high - low) / top)
    zero_point = torch.where(scale == 0, 0.0, (-low / scale).round()).clamp(0, top)
    return UniformGrid.of(scale, zero_point, top)


def as_float16(scale: Tensor) -> Tensor:
    """Rounds to float16 and back: codes are computed with the scale that is stored.

    Raises:
        EdgeqError: A value is beyond float16.
    """
    stored = scale.half().float()
    if not torch.isfinite(stored).all():
        raise EdgeqError("scale does not fit float16", found=f"{scale.abs().max().item():.3g}", wanted="at most 65504")
    return stored
