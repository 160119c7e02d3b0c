# SPDX-License-Identifier: Apache-2.0
"""What the inputs of a layer were over the calibration tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

CHUNK = 2048  # tokens multiplied in float32 before the sum goes on in float64
PANELS = 4


@dataclass(frozen=True)
class LayerStatistics:
    """Statistics of the inputs X ``[tokens, K]`` of a layer.

    Attributes:
        gram: XᵀX, float64 ``[K, K]``, symmetric.
        tokens: Number of rows of X.
        absmax: Largest magnitude of each channel, float32 ``[K]``.
        mean_abs: Mean magnitude of each channel, float32 ``[K]``.
        fisher: Diagonal of the empirical Fisher information of the layer's own weights, float32 ``[N, K]``, where a
            method asked for it.
        sample: Some rows of X, float32 ``[rows, K]``, where a method asked for them.
        memo: What methods derived from the statistics, kept for the other layers that read the same inputs.
    """

    gram: Tensor
    tokens: int
    absmax: Tensor
    mean_abs: Tensor
    fisher: Tensor | None = None
    sample: Tensor | None = None
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def diagonal(self) -> Tensor:
        """Diagonal of the Gram matrix, float64 ``[K]``: the importance of each input channel."""
        return self.gram.diagonal()


class StatisticsAccumulator:
    """Sums statistics over batches; the result does not depend on how the tokens are split at multiples of `CHUNK`.

    Args:
        columns: K, input features of the layer.
        stride: Every how many tokens a row of X is kept as `LayerStatistics.sample`; 0: none.
    """

    def __init__(self, columns: int, stride: int = 0) -> None:
        self._stride, self._sample = stride, list[Tensor]()
        self._gram = torch.zeros(columns, columns, dtype=torch.float64)
        self._absmax = torch.zeros(columns)
        self._abs_sum = torch.zeros(columns, dtype=torch.float64)
        self._tokens = 0

    def add(self, inputs: Tensor) -> None:
        """Adds float inputs ``[..., K]``."""
        for chunk in inputs.detach().reshape(-1, inputs.shape[-1]).float().split(CHUNK):  # type: ignore[no-untyped-call]
            self._add_gram(chunk)
            if self._stride:
                self._sample.append(chunk[-self._tokens % self._stride :: self._stride].clone())
            magnitudes = chunk.abs()
            torch.maximum(self._absmax, magnitudes.amax(0), out=self._absmax)
            self._abs_sum += magnitudes.sum(0, dtype=torch.float64)
            self._tokens += len(chunk)

    def _add_gram(self, chunk: Tensor) -> None:
        """Adds the upper triangle, panel by panel: five eighths of the products of the full matrix."""
        columns = chunk.shape[1]
        step = -(-columns // PANELS)
        for start in range(0, columns, step):
            self._gram[start : start + step, start:] += chunk[:, start : start + step].T @ chunk[:, start:]

    def result(self) -> LayerStatistics:
        """The statistics so far; the accumulator must not be used afterwards."""
        upper = self._gram.triu_()
        gram = upper.add_(upper.triu(1).T)
        mean_abs = (self._abs_sum / max(self._tokens, 1)).float()
        sample = torch.cat(self._sample) if self._sample else None
        return LayerStatistics(gram, self._tokens, self._absmax, mean_abs, sample=sample)
