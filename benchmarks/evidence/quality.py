# SPDX-License-Identifier: Apache-2.0
"""How far a model is from its original; the original runs once for all cells of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeq.evaluation.metrics import DistanceSum, LossSum
from edgeq.evaluation.perplexity import LanguageModel
from edgeq.evaluation.reference import ReferenceDecoder, ReferenceEncoder
from edgeq.evaluation.similarity import TextEncoder, row_cosines, spearman_correlation
from edgeq.evaluation.windows import cut_windows
from edgeq.runtime.pooling import Pooling
from edgeq.runtime.tokenizer import Tokenizer
from evidence.subjects import WINDOW, WINDOWS, Subject

Values = dict[str, float]


class DecoderQuality:
    """Loss, perplexity, KL divergence and top-1 agreement over the first windows of the evaluation text.

    Args:
        subject: A decoder.
        window: Tokens per window.
        windows: How many of them, from the beginning of the text.

    Attributes:
        original_model: The original in PyTorch.
    """

    def __init__(self, subject: Subject, window: int = WINDOW, windows: int = WINDOWS) -> None:
        original = ReferenceDecoder(str(subject.checkpoint), threads=1)
        self.original_model, tokenizer = torch_model(original), original.tokenizer
        assert tokenizer is not None
        self._windows = cut_windows(subject.evaluation, tokenizer, window, window, windows).ids
        self._logits = [_logits(original, window[:-1]) for window in self._windows]

    def measure(self, model: LanguageModel) -> Values:
        """The distance of a model, with the standard error of its loss difference over the windows."""
        sums = []
        for window, logits in zip(self._windows, self._logits, strict=True):
            total = DistanceSum(LossSum(), LossSum())
            total.add(_logits(model, window[:-1]), logits, window[1:])
            sums.append(total)
        return _summary(sums)


def _summary(sums: Sequence[DistanceSum]) -> Values:
    losses = np.array([total.model.mean for total in sums])
    references = np.array([total.reference.mean for total in sums])
    differences, tokens = losses - references, sum(total.model.tokens for total in sums)
    return {
        "reference_loss": float(references.mean()),
        "reference_perplexity": math.exp(references.mean()),
        "loss_difference": float(differences.mean()),
        "standard_error": float(differences.std(ddof=1) / math.sqrt(len(sums))),
        "perplexity": math.exp(min(losses.mean(), 700)),
        "kl_divergence": sum(total.kl_nats for total in sums) / tokens,
        "top1_agreement": sum(total.agreements for total in sums) / tokens,
    }


def _logits(model: LanguageModel, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.concatenate([chunk.copy() for chunk in model.logits_chunks(ids.tolist())])


def torch_model(decoder: ReferenceDecoder) -> Any:
    """The transformers model inside."""
    return decoder._model


class _EncoderLike(TextEncoder, Protocol):
    tokenizer: Tokenizer
    pooling: Pooling


class EncoderQuality:
    """Cosine to the original's vectors, and Spearman correlation on the sentence pairs.

    Args:
        subject: An encoder.
    """

    def __init__(self, subject: Subject) -> None:
        assert subject.pairs is not None
        self._checkpoint, self._pairs = subject.checkpoint, subject.pairs
        self._texts = [*subject.pairs.first, *subject.pairs.second]
        self._vectors: NDArray[np.float32] | None = None

    def measure(self, model: _EncoderLike) -> Values:
        """The distance of an exported encoder; the first one lends the original its tokenizer and pooling."""
        if self._vectors is None:
            original = ReferenceEncoder(str(self._checkpoint), model.tokenizer.encode, model.pooling, threads=1)
            self._vectors = original.encode(self._texts)
        vectors = model.encode(self._texts)
        cosines = row_cosines(vectors, self._vectors)
        return {
            "mean_cosine": float(cosines.mean()),
            "min_cosine": float(cosines.min()),
            "spearman": self._spearman(vectors),
            "reference_spearman": self._spearman(self._vectors),
        }

    def _spearman(self, vectors: NDArray[np.float32]) -> float:
        half = len(self._pairs.first)
        return spearman_correlation(row_cosines(vectors[:half], vectors[half:]), np.asarray(self._pairs.scores))
