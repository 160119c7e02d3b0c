# SPDX-License-Identifier: Apache-2.0
"""Perplexity of an exported model, and its distance from the original over the same windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.evaluation.metrics import DistanceSum, LossSum, aligned
from edgeq.evaluation.windows import Windows
from edgeq.progress import Progress


class LanguageModel(Protocol):
    """What is evaluated: `edgeq.runtime.model.Model`, or a checkpoint in PyTorch."""

    @property
    def vocab_size(self) -> int:
        """Width of the logits."""

    def logits_chunks(self, token_ids: list[int]) -> Iterator[NDArray[np.float32]]:
        """Logits of a sequence by itself, in chunks of rows that are good until the next."""


@dataclass(frozen=True)
class Quality:
    """How well a model predicts a text.

    Attributes:
        loss: Mean negative log-likelihood, nats per predicted token.
        perplexity: Its exponential.
        bits_per_byte: The loss of all predicted tokens in bits, over the UTF-8 bytes they cover.
    """

    loss: float
    perplexity: float
    bits_per_byte: float

    @classmethod
    def of(cls, total: LossSum, size: int) -> Quality:
        """From a sum and the bytes that the tokens cover."""
        # A broken model can have a loss whose exponential is no float.
        perplexity = math.exp(total.mean) if total.mean < 700 else math.inf
        return cls(total.mean, perplexity, total.nats / math.log(2) / size if size else math.nan)


@dataclass(frozen=True)
class Comparison:
    """How far a model is from a reference.

    Attributes:
        reference: The reference's own quality.
        loss_difference: The model's loss minus the reference's, nats per token.
        kl_divergence: Mean of KL(reference || model), nats per token.
        top1_agreement: Share of tokens where both find the same one most likely.
    """

    reference: Quality
    loss_difference: float
    kl_divergence: float
    top1_agreement: float


def evaluate(model: LanguageModel, windows: Windows, progress: Progress | None = None) -> Quality:
    """Evaluates a model by itself.

    Args:
        model: The model.
        windows: See `edgeq.evaluation.windows`.
        progress: Told the stage ``evaluate``.
    """
    total = LossSum()
    for window in _each(windows, progress):
        targets = window[1:]
        for logits in model.logits_chunks(window[:-1].tolist()):
            total.add(logits, targets[: len(logits)])
            targets = targets[len(logits) :]
    return Quality.of(total, windows.bytes)


def compare(
    model: LanguageModel, reference: LanguageModel, windows: Windows, progress: Progress | None = None
) -> tuple[Quality, Comparison]:
    """Evaluates a model and a reference side by side; arguments as in `evaluate`.

    Raises:
        EdgeqError: Their vocabularies differ in size.
    """
    if model.vocab_size != reference.vocab_size:
        raise EdgeqError(
            "different vocabularies", field="against", found=reference.vocab_size, wanted=f"{model.vocab_size} tokens"
        )
    total = DistanceSum(LossSum(), LossSum())
    for window in _each(windows, progress):
        targets, inputs = window[1:], window[:-1].tolist()
        for logits, other in aligned(model.logits_chunks(inputs), reference.logits_chunks(inputs)):
            total.add(logits, other, targets[: len(logits)])
            targets = targets[len(logits) :]
    quality, original = Quality.of(total.model, windows.bytes), Quality.of(total.reference, windows.bytes)
    tokens = total.model.tokens
    comparison = Comparison(original, quality.loss - original.loss, total.kl_nats / tokens, total.agreements / tokens)
    return quality, comparison


def _each(windows: Windows, progress: Progress | None) -> Iterator[NDArray[np.int64]]:
    for index, window in enumerate(windows.ids):
        if progress:
            progress("evaluate", index, len(windows.ids))
        yield window
    if progress:
        progress("evaluate", len(windows.ids), len(windows.ids))
