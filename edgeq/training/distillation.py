# SPDX-License-Identifier: Apache-2.0
"""Losses: how far the student's predictions are from the original's, or from the text."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from edgeq.training.settings import Loss


@dataclass(frozen=True)
class Objective:
    """What is made small.

    Attributes:
        loss: ``kl``, ``ce`` or ``mix`` (`edgeq.training.settings.Settings`).
        mix: Share of cross-entropy in ``mix``.
    """

    loss: Loss
    mix: float

    @property
    def distils(self) -> bool:
        """Whether it needs the original's predictions."""
        return self.loss != "ce"

    def __call__(self, logits: Tensor, ids: Tensor, original: Tensor | None) -> Tensor:
        """Nats per predicted token.

        Args:
            logits: Of the student, ``[windows, length, vocabulary]``.
            ids: What it read, int64 ``[windows, length]``.
            original: The original's logits, where they are needed.
        """
        predictions = logits[:, :-1].float().flatten(0, 1)
        truth = ids[:, 1:].flatten()
        if original is None:
            return cross_entropy(predictions, truth)
        teacher = log_softmax(original[:, :-1].float().flatten(0, 1), -1)
        distance = kl_div(log_softmax(predictions, -1), teacher, reduction="batchmean", log_target=True)
        if self.loss == "kl":
            return distance
        return (1 - self.mix) * distance + self.mix * cross_entropy(predictions, truth)
