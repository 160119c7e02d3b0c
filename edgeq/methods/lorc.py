# SPDX-License-Identifier: Apache-2.0
"""LoRC: the error of a quantized weight, as far as two small matrices can hold it, is added beside the layer.

Sources: ZeroQuant-V2 (arXiv 2303.08302) for the singular vectors of the error E = W − Ŵ; LQER (arXiv 2402.02446) for
weighting its columns with the magnitudes of their inputs; taking all of XᵀX makes the result the best of its rank for
the layer's outputs. All three are one problem: B holds the leading eigenvectors of E M Eᵀ, and A = Bᵀ E, where M is the
identity, the squared mean magnitudes on a diagonal, or XᵀX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.methods.option_types import PositiveCount
from edgeq.methods.options import MethodOptions
from edgeq.quantization.corrections import LowRank

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

Weighting = Literal["none", "magnitudes", "gram"]
OVERSAMPLING = 16  # directions iterated beyond the rank: those that count then converge fast
ITERATIONS = 24


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of LoRC.

    Attributes:
        rank: r; it costs 16·r·(1/N + 1/K) bits per weight.
        weighting: What the error is measured in: ``none`` (the weights), ``magnitudes`` (weights times the mean
            magnitude of their input), ``gram`` (the layer's outputs).
    """

    rank: PositiveCount = 8
    weighting: Weighting = "gram"


def correct(
    original: Tensor, dequantized: Tensor, statistics: LayerStatistics | None, options: Options | None = None
) -> LowRank:
    """The low-rank matrix to add to a quantized one.

    Args:
        original: W, ``[N, K]``.
        dequantized: Ŵ, ``[N, K]``.
        statistics: Inputs of the layer; only ``weighting=none`` does without.
        options: Options of the method.

    Raises:
        EdgeqError: The rank is not positive, or the statistics are missing.
    """
    options = options or Options()
    if options.rank < 1:
        raise EdgeqError("wrong rank", field="lorc.rank", found=options.rank, wanted="1 or more")
    error = original.double() - dequantized.double()
    a, b = factorize(error, _metric(statistics, options.weighting), min(options.rank, *error.shape))
    return LowRank(a, b)


def factorize(error: Tensor, metric: Tensor | None, rank: int) -> tuple[Tensor, Tensor]:
    """A ``[r, K]`` and B ``[N, r]`` with the least error of B·A in a metric, balanced in magnitude.

    Args:
        error: E, float64 ``[N, K]``.
        metric: M, positive semidefinite: ``[K, K]``, its diagonal ``[K]``, or ``None`` for the identity.
        rank: r, at most N and K.
    """
    b = _leading_directions(error, metric, rank)
    a = b.T @ error
    balance = a.norm(dim=1).clamp_(min=torch.finfo(a.dtype).tiny).sqrt()
    return a / balance.unsqueeze(1), b * balance


def _leading_directions(error: Tensor, metric: Tensor | None, rank: int) -> Tensor:
    """The leading eigenvectors of E M Eᵀ, ``[N, rank]``, by orthogonal iteration from a fixed start."""
    width = min(rank + OVERSAMPLING, len(error))
    start = torch.randn(len(error), width, generator=torch.Generator().manual_seed(0), dtype=error.dtype)
    basis = torch.linalg.qr(start).Q
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(_multiply(error, metric, basis)).Q
    ritz = torch.linalg.eigh(basis.T @ _multiply(error, metric, basis)).eigenvectors
    leading: Tensor = basis @ ritz[:, -rank:].flip(1)
    return leading


def _multiply(error: Tensor, metric: Tensor | None, vectors: Tensor) -> Tensor:
    """E M Eᵀ V."""
    inner = error.T @ vectors
    if metric is not None:
        inner = metric @ inner if metric.ndim == 2 else metric.unsqueeze(1) * inner
    return error @ inner


def _metric(statistics: LayerStatistics | None, weighting: Weighting) -> Tensor | None:
    if weighting == "none":
        return None
    if statistics is None:
        raise EdgeqError("weighting needs calibration", field="lorc.weighting", remedy="add --calibration FILE")
    return statistics.gram if weighting == "gram" else statistics.mean_abs.double().square()
