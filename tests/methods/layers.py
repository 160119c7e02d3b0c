# SPDX-License-Identifier: Apache-2.0
"""Random layers and the statistics of their inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from edgeq.calibration.statistics import LayerStatistics, StatisticsAccumulator
from edgeq.formats import Format, QuantizedTensor


def random_weight(rows: int, columns: int, seed: int = 0) -> Tensor:
    """Normally distributed weights, float32 ``[rows, columns]``."""
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def random_inputs(tokens: int, columns: int, rank: int | None = None, seed: int = 1) -> Tensor:
    """Correlated inputs of unequal scale, of the given rank, float32 ``[tokens, columns]``."""
    generator = torch.Generator().manual_seed(seed)
    rank = columns if rank is None else rank
    hidden = torch.randn(tokens, rank, generator=generator)
    return hidden @ torch.randn(rank, columns, generator=generator) * torch.rand(columns, generator=generator).add(0.2)


def statistics_of(inputs: Tensor) -> LayerStatistics:
    """What calibration records of these inputs."""
    accumulator = StatisticsAccumulator(inputs.shape[1])
    accumulator.add(inputs)
    return accumulator.result()


def decode(fmt: Format, tensor: QuantizedTensor) -> Tensor:
    """The quantized weights, float32 ``[N, K]``."""
    return torch.from_numpy(fmt.decode(tensor))  # type: ignore[arg-type]  # the format's own tensor


def output_error(weight: Tensor, other: Tensor, inputs: Tensor) -> float:
    """Sum of the squared differences of the outputs."""
    return float((inputs.double() @ (weight.double() - other.double()).T).square().sum())
