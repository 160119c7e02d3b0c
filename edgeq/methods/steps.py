# SPDX-License-Identifier: Apache-2.0
"""Step sizes of uniform codes that are entropy-coded afterwards: coarse enough for a rate, in bits per weight.

A step of k·absmax/2^(bits−1), k ≥ 1, narrows the histogram of the codes; their width, and so the kernels, stay what
they are (double compression, arXiv 2502.15443). At high rates entropy-coded uniform codes of a Gaussian source lie 0.25
bits above the rate-distortion bound (Gish and Pierce, 1968), codes of fixed width in groups much further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from edgeq.compression.entropy import SYMBOLS, Histogram, Rate, rate
from edgeq.errors import EdgeqError
from edgeq.formats import Format, UniformFormat
from edgeq.formats.layout import group_count
from edgeq.methods.grids.uniform import UniformGrid, as_float16
from edgeq.methods.option_types import NotNegative, Positive
from edgeq.methods.options import MethodOptions

SCALE_BITS = 16
SAMPLE = 1 << 18  # weights whose codes are counted in each step of a search
BISECTIONS = 18
SMALLEST = 2.0**-24  # of float16


@dataclass(frozen=True)
class RateOptions(MethodOptions):
    """Options that all methods of entropy-coded weights share.

    Attributes:
        bits: Stored bits per weight to reach, scales included; a matrix that takes less with the finest steps keeps
            those.
        spread: How steps follow the size of the weights: 0 gives all rows of a layer the same step, which is best for
            a coder with one table per row; 1 makes steps proportional to the root mean square of the row, so that all
            rows share one distribution.
        rate: What codes cost: ``entropy`` (order 0, rANS) or ``nibble`` (15 codes of 4 bits, all others of 12).
        vocabulary_bits: The same as ``bits`` for token embedding and output head, which are not calibrated;
            ``none``: they are rounded to nearest as usual.
    """

    bits: Positive = 3.6
    spread: NotNegative = 0.5
    rate: Rate = "entropy"
    vocabulary_bits: Positive | Literal["none"] = "none"


def check_format(fmt: Format) -> UniformFormat:
    """The format, if its codes can be made coarser.

    Raises:
        EdgeqError: It is not uniform and symmetric.
    """
    if not isinstance(fmt, UniformFormat) or not fmt.symmetric:
        wanted = "symmetric uniform weights, such as w8"
        raise EdgeqError("no coarser steps in this format", field=f"format {fmt.name}", wanted=wanted)
    return fmt


def finest_steps(weight: Tensor, fmt: UniformFormat) -> Tensor:
    """The steps with which no weight is clipped, absmax / (2^(bits−1) − 1), float32 ``[N, G]``.

    Raises:
        EdgeqError: A weight is not finite.
    """
    largest = grouped(weight.abs(), fmt.group_size).amax(2)
    if not torch.isfinite(largest).all():
        raise EdgeqError("weights are not finite", found="NaN or infinity", wanted="finite weights")
    steps: Tensor = largest / (2 ** (fmt.bits - 1) - 1)
    return steps


@dataclass(frozen=True)
class StepFamily:
    """Steps of all coarsenesses for one matrix.

    Attributes:
        weight: The matrix, float32 ``[N, K]``.
        fmt: Its number format.
        finest: Steps with which nothing is clipped, ``[N, G]``.
        shape: Relative steps of the groups, ``[N, G]``; 0 for groups of zeros.
        measure: What codes cost.
    """

    weight: Tensor
    fmt: UniformFormat
    finest: Tensor
    shape: Tensor
    measure: Rate

    @classmethod
    def of(cls, weight: Tensor, fmt: Format, options: RateOptions) -> StepFamily:
        """The family of a matrix.

        Raises:
            EdgeqError: A weight is not finite, or the format is not uniform and symmetric.
        """
        uniform = check_format(fmt)
        shape = _relative_steps(weight, uniform, options.spread)
        return cls(weight, uniform, finest_steps(weight, uniform), shape, options.rate)

    def code_bits(self, bits: float) -> float:
        """What is left for codes of ``bits`` per weight when the scales are stored.

        Raises:
            EdgeqError: Nothing is.
        """
        overhead = SCALE_BITS * self.finest.shape[1] / self.weight.shape[1]
        if bits <= overhead:
            raise EdgeqError("rate too low", field="bits", found=bits, wanted=f"more than {overhead:.3f}")
        return bits - overhead

    def steps(self, factor: float) -> Tensor:
        """The steps of a factor, exact in float16, ``[N, G]``.

        Raises:
            EdgeqError: One does not fit float16.
        """
        steps = torch.maximum(factor * self.shape, self.finest)
        return as_float16(torch.where(steps > 0, steps.clamp(min=SMALLEST), 0.0))

    def factor(self, code_bits: float) -> float:
        """The smallest factor whose nearest codes take at most so many bits per code."""
        rows = torch.arange(0, len(self.weight), max(1, self.weight.numel() // SAMPLE))
        sample, floor, own = self.weight[rows], self.finest[rows], self.shape[rows]
        ratio = (self.finest / self.shape)[self.shape > 0]
        if not ratio.numel():
            return 0.0
        # Between the finest step of all and one that rounds every weight to zero.
        low, high = float(ratio.min()), float(4 << self.fmt.bits) * float(ratio.max())
        for _ in range(BISECTIONS):
            middle = math.sqrt(low * high)
            codes = round_codes(sample, torch.maximum(middle * own, floor), self.fmt)
            low, high = (middle, high) if code_rate(codes, self.measure) > code_bits else (low, middle)
        return high


def round_codes(weight: Tensor, steps: Tensor, fmt: UniformFormat) -> Tensor:
    """Nearest codes, uint8 ``[N, K]``."""
    size, half = fmt.group_size or weight.shape[1], 2 ** (fmt.bits - 1)
    inverse = torch.where(steps > 0, 1 / steps, 0.0).repeat_interleave(size, 1)[:, : weight.shape[1]]
    return (weight * inverse).round_().clamp_(-half, half - 1).add_(half).to(torch.uint8)


def code_counts(codes: Tensor) -> Histogram:
    """How often each code occurs, int64 ``[256]``."""
    counts: Histogram = torch.bincount(codes.reshape(-1), minlength=SYMBOLS).numpy()
    return counts


def code_rate(codes: Tensor, measure: Rate) -> float:
    """Bits per code under one static table."""
    return float(rate(code_counts(codes), measure))


def step_grids(steps: Tensor, fmt: UniformFormat) -> list[UniformGrid]:
    """A grid for each group of columns."""
    half = 2 ** (fmt.bits - 1)
    return [
        UniformGrid.of(step.contiguous(), torch.full_like(step, half), 2**fmt.bits - 1)
        for step in steps.split(1, 1)  # type: ignore[no-untyped-call]
    ]


def grouped(values: Tensor, group_size: int) -> Tensor:
    """``[N, K]`` to ``[N, G, g]``; zeros fill up the last group."""
    rows, columns = values.shape
    size, groups = group_size or columns, group_count(columns, group_size)
    return torch.nn.functional.pad(values, (0, groups * size - columns)).reshape(rows, groups, size)


def _relative_steps(weight: Tensor, fmt: UniformFormat, spread: float) -> Tensor:
    """Root mean squares of the groups to the power of ``spread``, over those of the whole matrix, ``[N, G]``."""
    sizes = grouped(torch.ones_like(weight[:1]), fmt.group_size).sum(2)
    squares = grouped(weight.square(), fmt.group_size).sum(2) / sizes
    mean = float(weight.square().mean()) or 1.0
    return torch.where(squares > 0, (squares / mean) ** (spread / 2), 0.0)
