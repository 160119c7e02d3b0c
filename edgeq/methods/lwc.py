# SPDX-License-Identifier: Apache-2.0
"""Learnable weight clipping: the range of every group is learned so that the outputs of the whole block change little.

Source: OmniQuant (arXiv 2308.13137), section 3.2, its weight-only part: the range is [β·min w, γ·max w] with β and γ
the sigmoids of learned numbers, trained by AdamW on ‖F(W, X) − F(Q(W), X)‖² with straight-through rounding. The paper
feeds F(W, ·) with the inputs of the full-precision model; here both read X, the inputs under quantized predecessors.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, Format, QuantizedTensor, UniformFormat
from edgeq.formats.layout import group_count
from edgeq.methods import rtn
from edgeq.methods.folding import FoldableBlock
from edgeq.methods.option_types import Count, Positive
from edgeq.methods.options import MethodOptions

if TYPE_CHECKING:
    from edgeq.calibration.blocks import BlockRunner
    from edgeq.calibration.statistics import LayerStatistics

logger = logging.getLogger(__name__)

START = 4.0  # its sigmoid is 0.982: training starts at nearly the full range
SMALLEST = 1e-12


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of learnable weight clipping.

    Attributes:
        epochs: Passes over the calibration windows.
        learning_rate: Of AdamW; ten times the paper's, because a step reads many windows at once where the paper's
            reads one, and a range moves by about as much in every step.
    """

    epochs: Count = 20
    learning_rate: Positive = 5e-2


class LearnedRange(nn.Module):
    """The range of each group of a matrix.

    Args:
        weight: float32 ``[N, K]``.
        fmt: Uniform, or binary-coded as the image of asymmetric uniform.

    Raises:
        EdgeqError: The format has no range.
    """

    def __init__(self, weight: Tensor, fmt: Format) -> None:
        super().__init__()
        if not isinstance(fmt, UniformFormat | BcqFormat) or fmt.bits == 1:
            raise EdgeqError("no range to learn", field=f"format {fmt.name}", wanted="uniform, or bcq of 2 to 4 planes")
        self.symmetric, self.bits = isinstance(fmt, UniformFormat) and fmt.symmetric, fmt.bits
        rows, self.columns = weight.shape
        groups, size = group_count(self.columns, fmt.group_size), fmt.group_size or self.columns
        padded = nn.functional.pad(weight, (0, groups * size - self.columns))
        self.weight = padded.reshape(rows, groups, size)
        self.low, self.high = self.weight.amin(2, keepdim=True), self.weight.amax(2, keepdim=True)
        self.low_logit = nn.Parameter(torch.full_like(self.low, START))
        self.high_logit = nn.Parameter(torch.full_like(self.high, START))

    def limits(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest value of each group, ``[N, G, 1]``; they never exclude 0."""
        low, high = self.low.clamp(max=0) * self.low_logit.sigmoid(), self.high.clamp(min=0) * self.high_logit.sigmoid()
        if not self.symmetric:
            return low, high
        # One side has a level more than the other; it faces the longer tail.
        steps = 2 ** (self.bits - 1)
        step = torch.maximum(-low, high) / steps
        below = -low >= high
        return torch.where(below, -steps, 1 - steps) * step, torch.where(below, steps - 1, steps) * step

    def rounded(self) -> Tensor:
        """The quantized weights ``[N, K]``, differentiable in the limits."""
        low, high = self.limits()
        step = ((high - low) / (2**self.bits - 1)).clamp(min=SMALLEST)
        zero = _round(-low / step)
        codes = (_round(self.weight / step) + zero).clamp(0, 2**self.bits - 1)
        return self._unpad((codes - zero) * step)

    def clipped(self) -> Tensor:
        """The weights cut to the limits, ``[N, K]``: round to nearest over their whole range gives `rounded`."""
        return self._unpad(torch.maximum(torch.minimum(self.weight, self.limits()[1]), self.limits()[0]))

    def _unpad(self, values: Tensor) -> Tensor:
        return values.reshape(len(values), -1)[:, : self.columns]


@torch.enable_grad()
def prepare(block: FoldableBlock, runner: BlockRunner, name: str, options: Options) -> None:
    """Learns the ranges of a block's layers and cuts their weights to them, in place.

    Args:
        block: The block, with float weights.
        runner: Holds its inputs and runs it.
        name: Its name in the model.
        options: Options of the method.

    Raises:
        EdgeqError: A layer's format has no range.
    """
    originals = {layer: block.weight(layer).clone() for layer in block.formats}
    ranges = nn.ModuleList(LearnedRange(originals[layer], block.formats[layer]) for layer in block.formats)
    optimizer = torch.optim.AdamW(ranges.parameters(), lr=options.learning_rate, weight_decay=0.0)
    for epoch in range(options.epochs):
        total = sum(_step(block, runner, name, ranges, part, optimizer) for part in runner.slices())
        logger.info("%s: epoch %d, squared error %.4g", name, epoch + 1, total)
    with torch.no_grad():
        for layer, learned in zip(block.formats, ranges, strict=True):
            block.weight(layer).copy_(learned.clipped())  # type: ignore[operator]


def quantize(
    weight: Tensor, fmt: Format, statistics: LayerStatistics | None = None, options: Options | None = None
) -> QuantizedTensor:
    """Rounds weights that `prepare` cut; arguments and errors as in `rtn.quantize`."""
    return rtn.quantize(weight, fmt, clip="minmax")


def _step(
    block: FoldableBlock,
    runner: BlockRunner,
    name: str,
    ranges: nn.ModuleList,
    part: slice,
    optimizer: torch.optim.Optimizer,
) -> float:
    """One step of the optimizer on some windows; returns the squared error before it."""
    inputs = runner.hidden[part]
    with torch.no_grad():
        wanted = runner.run(block.module, name, inputs)
    weights = {
        f"{layer}.weight": block.as_parameter(layer, learned.rounded())  # type: ignore[operator]
        for layer, learned in zip(block.formats, ranges, strict=True)
    }

    def quantized(*arguments: Any, **named: Any) -> Any:
        return torch.func.functional_call(block.module, weights, arguments, named)

    loss = (runner.run(quantized, name, inputs) - wanted).square().mean()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach()) * inputs.numel()


def _round(values: Tensor) -> Tensor:
    """Rounding with the gradient of the identity."""
    return values + (values.round() - values).detach()
