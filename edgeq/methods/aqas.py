# SPDX-License-Identifier: Apache-2.0
"""Activation-quantization-aware scaling: rounded weights and rounded inputs together err least.

The layers' channels are multiplied by s, and what makes their inputs is divided by it.

Source: AQAS (arXiv 2311.05161), section 3. s = s_X^a · s_W^(−b) with the largest magnitudes of inputs and weights of a
channel, a and b on a grid in [0, 1]. The error is that of `edgeq.methods.distortion`, on a sample of the calibration
tokens, because rounded inputs have no XᵀX. While scales are compared the weights' range is the whole one, as in the
paper; the search for the range is that of the solver that follows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from edgeq.methods.distortion import distortion_of
from edgeq.methods.folding import Fold, FoldableBlock
from edgeq.methods.grids import Clip
from edgeq.methods.option_types import PositiveCount
from edgeq.methods.options import MethodOptions
from edgeq.methods.scaling import SMALLEST, fold_each, largest_magnitudes, normalized

logger = logging.getLogger(__name__)

COARSE = 4  # a coarse search tries every fourth exponent first
BASINS = 3
REFINEMENTS = (2, 1)

Point = tuple[int, int]


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of activation-quantization-aware scaling.

    Attributes:
        steps: Intervals into which [0, 1] is divided for either exponent.
        search: ``full``: all of the grid, 441 evaluations; ``coarse``: every fourth exponent, then the neighbours of
            the three best points two steps away, and of the three best then one step away: about 75 evaluations.
        clip: Range of a group while scales are compared.
    """

    steps: PositiveCount = 20
    search: Literal["coarse", "full"] = "coarse"
    clip: Clip = "minmax"

    @property
    def comparisons(self) -> int:
        """About how many scales are compared at each place."""
        return (self.steps + 1) ** 2 if self.search == "full" or self.steps <= COARSE else 75


def fold(block: FoldableBlock, options: Options | None = None) -> None:
    """Rescales the layers of a block, in place; its outputs stay as they were.

    Args:
        block: The block, with samples of its inputs (`edgeq.methods.registry.Method.samples`).
        options: Options of the method.

    Raises:
        EdgeqError: It is not known where scales can be folded in this architecture, or there is no sample.
    """
    chosen = options or Options()
    fold_each(block, lambda place: best_scale(block, place, chosen))


def best_scale(block: FoldableBlock, place: Fold, options: Options) -> Tensor:
    """The scale ``[K]`` of least distortion at one place; never one that errs more than no scale at all."""
    search = _Search(block, place, options)
    best = search.run()
    plain, least = search.errors[0, 0], search.errors[best]
    logger.info(
        "%s: a = %.2f, b = %.2f, error %.3g of %.3g without",
        place.source,
        best[0] / options.steps,
        best[1] / options.steps,
        least,
        plain,
    )
    return search.scale(best)


class _Search:
    """Exponents of one place; a point is a and b in steps."""

    def __init__(self, block: FoldableBlock, place: Fold, options: Options) -> None:
        self.options, self.distortion = options, distortion_of(block, place, options.clip)
        inputs, weights = largest_magnitudes(block, place)
        self.dead = (inputs == 0) | (weights == 0)  # nothing is known of such a channel
        self.inputs, self.weights = inputs.clamp(min=SMALLEST), weights.clamp(min=SMALLEST)
        self.errors: dict[Point, float] = {}

    def run(self) -> Point:
        """The best of the points that are tried, no scale at all among ties."""
        steps = self.options.steps
        full = self.options.search == "full" or steps <= COARSE
        stride = 1 if full else COARSE
        self._try([(0, 0), *_grid(range(0, steps + 1, stride))])
        for stride in () if full else REFINEMENTS:
            for center in self._ranking()[:BASINS]:
                self._try(_grid(range(-stride, stride + 1, stride), center, steps))
        return self._ranking()[0]

    def scale(self, point: Point) -> Tensor:
        """The scale of a point ``[K]``."""
        if point == (0, 0):
            return torch.ones_like(self.inputs)
        a, b = (value / self.options.steps for value in point)
        return torch.where(self.dead, 1.0, normalized(self.inputs**a / self.weights**b))

    def _try(self, points: Iterable[Point]) -> None:
        for point in points:
            if point not in self.errors:
                self.errors[point] = self.distortion(self.scale(point))

    def _ranking(self) -> list[Point]:
        return sorted(self.errors, key=lambda point: self.errors[point])


def _grid(offsets: range, center: Point = (0, 0), steps: int | None = None) -> Iterator[Point]:
    """Points about a center, those outside the grid left out."""
    for first in offsets:
        for second in offsets:
            point = center[0] + first, center[1] + second
            if steps is None or (min(point) >= 0 and max(point) <= steps):
                yield point
