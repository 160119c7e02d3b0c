# SPDX-License-Identifier: Apache-2.0
"""Sums over predicted tokens, in float64 and in blocks, so that a large vocabulary takes little memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
Floats = NDArray[np.float64]
BLOCK_ELEMENTS = 1 << 21  # 16 MiB of float64


@dataclass
class LossSum:
    """Negative log-likelihood of tokens.

    Attributes:
        nats: Their sum.
        tokens: How many.
    """

    nats: float = 0.0
    tokens: int = 0

    def add(self, logits: Logits, targets: NDArray[np.int64]) -> None:
        """Adds rows of logits ``[n, vocab]`` and the tokens that came, ``[n]``."""
        for rows in blocks(*logits.shape):
            self.add_log_probabilities(log_softmax(logits[rows]), targets[rows])

    def add_log_probabilities(self, log_probabilities: Floats, targets: NDArray[np.int64]) -> None:
        """Adds rows of log-probabilities ``[n, vocab]`` and the tokens that came."""
        self.nats -= float(log_probabilities[np.arange(len(targets)), targets].sum())
        self.tokens += len(targets)

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens


@dataclass
class DistanceSum:
    """How far a model's predictions are from a reference's, over the same tokens.

    Attributes:
        model: The model's loss.
        reference: The reference's loss.
        kl_nats: Sum of KL(reference || model).
        agreements: Tokens where both find the same token most likely.
    """

    model: LossSum
    reference: LossSum
    kl_nats: float = 0.0
    agreements: int = 0

    def add(self, logits: Logits, reference: Logits, targets: NDArray[np.int64]) -> None:
        """Adds rows of both models' logits ``[n, vocab]`` and the tokens that came."""
        for rows in blocks(*logits.shape):
            q, p = log_softmax(logits[rows]), log_softmax(reference[rows])
            self.model.add_log_probabilities(q, targets[rows])
            self.reference.add_log_probabilities(p, targets[rows])
            self.agreements += int(np.count_nonzero(q.argmax(axis=1) == p.argmax(axis=1)))
            weights = np.exp(p)
            with np.errstate(invalid="ignore"):  # a token that the reference excludes (-inf) adds nothing
                self.kl_nats += float(np.where(weights > 0, weights * (p - q), 0.0).sum())


def log_softmax(logits: Logits) -> Floats:
    """Log-softmax of rows, in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows whose elements stay near `BLOCK_ELEMENTS`."""
    step = max(1, BLOCK_ELEMENTS // columns)
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def aligned(first: Iterator[Logits], second: Iterator[Logits]) -> Iterator[tuple[Logits, Logits]]:
    """Two streams of rows cut at each other's borders; both have the same number of rows."""
    a = b = np.empty((0, 0), np.float32)
    while True:
        a = a if len(a) else next(first, a)
        b = b if len(b) else next(second, b)
        count = min(len(a), len(b))
        if not count:
            return
        yield a[:count], b[:count]
        a, b = a[count:], b[count:]
