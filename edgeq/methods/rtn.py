# SPDX-License-Identifier: Apache-2.0
"""Round to nearest: a scale per group from the range of its weights, clipped where the error is smallest."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, BcqTensor, Format, QuantizedTensor, UniformFormat, UniformTensor
from edgeq.formats.bcq import from_uniform
from edgeq.formats.layout import group_count

Clip = Literal["minmax", "mse", "l3"]
# Fractions of the range that the error search tries; finer or lower ones change the error by less than 1 %.
RATIOS = torch.arange(1.0, 0.49, -0.05).tolist()
CHUNK = 1 << 18  # weights searched at a time: a working set that stays in the second-level cache


@dataclass(frozen=True)
class _Grid:
    """Levels s·(q − z) of each group; tensors ``[groups, 1]``."""

    scale: Tensor
    zero_point: Tensor
    top: int

    def codes(self, groups: Tensor) -> Tensor:
        return (groups * self._inverse()).round_().add_(self.zero_point).clamp_(0, self.top)

    def error(self, groups: Tensor, clip: Clip, workspace: Tensor) -> Tensor:
        """Sum of the squared or cubic errors of each group; ``workspace`` is ``[2, groups, group size]``."""
        steps = torch.mul(groups, self._inverse(), out=workspace[0])
        levels = torch.round(steps, out=workspace[1]).add_(self.zero_point).clamp_(0, self.top).sub_(self.zero_point)
        order = 2 if clip == "mse" else 3
        error = levels.sub_(steps).abs_().pow_(order).sum(1, keepdim=True) * self.scale.abs() ** order
        return torch.where(self.scale == 0, torch.inf, error)

    def _inverse(self) -> Tensor:
        return torch.where(self.scale == 0, 0.0, 1.0 / self.scale)


def quantize(weight: Tensor, fmt: Format, clip: Clip = "l3") -> QuantizedTensor:
    """Quantizes ``[N, K]`` by rounding to the nearest level.

    A binary-coded format receives the exact image of the asymmetric uniform weights of the same bits.

    Args:
        weight: Floating point ``[N, K]``.
        fmt: The number format.
        clip: ``minmax`` covers the whole range; ``mse`` shrinks it, per group, to the least squared error; ``l3`` to
            the least cubic error, which clips less and keeps small models better at 3 and 4 bits.

    Raises:
        EdgeqError: A weight is not finite, or a group's scale does not fit float16.
    """
    if isinstance(fmt, BcqFormat):
        return _quantize_bcq(weight, fmt, clip)
    return _quantize_uniform(weight, fmt, clip)


def _quantize_uniform(weight: Tensor, fmt: UniformFormat, clip: Clip) -> UniformTensor:
    rows, columns = weight.shape
    group_size = fmt.group_size or columns
    groups = group_count(columns, fmt.group_size)
    codes = torch.empty(rows, columns, dtype=torch.uint8)
    scales = torch.empty(rows, groups, dtype=torch.float16)
    zeros = torch.empty(rows, groups, dtype=torch.uint8)
    step = max(1, CHUNK // columns)

    def quantize_rows(first: int) -> None:
        part = slice(first, first + step)
        padded = _pad_columns(weight[part].float(), groups * group_size).reshape(-1, group_size)
        grid = _best_grid(padded, fmt, clip)
        codes[part] = grid.codes(padded).reshape(-1, groups * group_size)[:, :columns].to(torch.uint8)
        scales[part] = grid.scale.reshape(-1, groups).half()
        zeros[part] = grid.zero_point.reshape(-1, groups).to(torch.uint8)

    with _worker_pool() as pool:
        list(pool.map(quantize_rows, range(0, rows, step)))
    return UniformTensor(codes.numpy(), scales.numpy(), None if fmt.symmetric else zeros.numpy())


@contextmanager
def _worker_pool() -> Iterator[ThreadPoolExecutor]:
    """As many workers as PyTorch has threads, one thread in each: chunks are too small to be worth splitting."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def _quantize_bcq(weight: Tensor, fmt: BcqFormat, clip: Clip) -> BcqTensor:
    if fmt.bits == 1:
        raise EdgeqError(
            "round to nearest has no 1-bit grid", field="format bcq", found="1 plane", wanted="2, 3 or 4 planes"
        )
    uniform = UniformFormat(fmt.bits, fmt.group_size, symmetric=False)
    return from_uniform(_quantize_uniform(weight, uniform, clip), uniform)


def _pad_columns(weight: Tensor, columns: int) -> Tensor:
    """Repeats the last column, so that padding never widens the range of the last group by a zero it does not hold."""
    missing = columns - weight.shape[1]
    return torch.cat([weight, weight[:, -1:].expand(-1, missing)], 1) if missing else weight


def _best_grid(groups: Tensor, fmt: UniformFormat, clip: Clip) -> _Grid:
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    if not (torch.isfinite(low).all() and torch.isfinite(high).all()):
        raise EdgeqError("weights are not finite", found="NaN or infinity", wanted="finite weights")
    candidates = [_grid(low * ratio, high * ratio, fmt) for ratio in (RATIOS[:1] if clip == "minmax" else RATIOS)]
    best, least = candidates[0], torch.full_like(low, torch.inf)
    workspace = groups.new_empty(2, *groups.shape)
    for candidate in candidates if len(candidates) > 1 else []:
        error = candidate.error(groups, clip, workspace)
        better = error < least
        least = torch.where(better, error, least)
        best = _Grid(
            torch.where(better, candidate.scale, best.scale),
            torch.where(better, candidate.zero_point, best.zero_point),
            best.top,
        )
    return best


def _grid(low: Tensor, high: Tensor, fmt: UniformFormat) -> _Grid:
    top = 2**fmt.bits - 1
    if fmt.symmetric:
        # The side with one more level faces the larger tail; the sign of the scale turns it.
        half = 2 ** (fmt.bits - 1)
        scale = _as_float16(torch.where(low.abs() >= high.abs(), low, high) / -half)
        return _Grid(scale, torch.full_like(scale, half), top)
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = _as_float16((high - low) / top)
    zero_point = torch.where(scale == 0, 0.0, (-low / scale).round()).clamp(0, top)
    return _Grid(scale, zero_point, top)


def _as_float16(scale: Tensor) -> Tensor:
    """Codes are computed with the scale that is stored."""
    stored = scale.half().float()
    if not torch.isfinite(stored).all():
        raise EdgeqError("scale does not fit float16", found=f"{scale.abs().max().item():.3g}", wanted="at most 65504")
    return stored
