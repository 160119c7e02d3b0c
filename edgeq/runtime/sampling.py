# SPDX-License-Identifier: Apache-2.0
"""Choosing the next token from logits, with the definitions (and the order) that transformers uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from edgeq.errors import EdgeqError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SamplingOptions:
    """How tokens are drawn; the defaults are greedy.

    Attributes:
        temperature: Logits are divided by it; 0: take the most likely token.
        top_k: Keep the k most likely tokens; 0: all.
        top_p: Keep the smallest set of most likely tokens whose probabilities reach it (Holtzman et al. 2019); 1: all.
        min_p: Drop tokens less likely than this share of the most likely one's probability; 0: none.
        repetition_penalty: Positive logits of tokens already seen are divided by it, negative ones multiplied
            (Keskar et al. 2019); 1: none.

    Raises:
        EdgeqError: A value is out of range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        for name, valid, wanted in (
            ("temperature", 0 <= self.temperature < np.inf, "at least 0"),
            ("top_k", self.top_k >= 0, "at least 0"),
            ("top_p", 0 <= self.top_p <= 1, "0 to 1"),
            ("min_p", 0 <= self.min_p <= 1, "0 to 1"),
            ("repetition_penalty", 0 < self.repetition_penalty < np.inf, "above 0"),
        ):
            if not valid:
                raise EdgeqError("option out of range", field=name, found=getattr(self, name), wanted=wanted)


class Sampler:
    """Draws tokens; equal options, seeds and logits give equal tokens.

    Args:
        options: How to draw.
        vocab_size: Number of tokens.
        seed: Of the random generator (NumPy's PCG64).
        seen: Token ids that the repetition penalty counts as seen, as a rule the prompt's.
    """

    def __init__(self, options: SamplingOptions, vocab_size: int, seed: int, seen: Iterable[int] = ()) -> None:
        self.options = options
        self._random = default_rng(seed)
        self._seen = np.zeros(vocab_size, bool)
        self._seen[list(seen)] = True

    def __call__(self, logits: NDArray[np.float32]) -> int:
        """The next token for logits ``[vocab]``, which are left as they are.

        Raises:
            EdgeqError: The logits are not finite: the model is damaged.
        """
        if not np.isfinite(logits.max()):
            raise EdgeqError(
                "the model computed no finite logits", found=logits.max(), remedy="check it with: edgeq eval"
            )
        scores = penalize(logits, self._seen, self.options.repetition_penalty)
        token = int(np.argmax(scores)) if self.options.temperature == 0 else self._draw(scores)
        self._seen[token] = True
        return token

    def _draw(self, scores: NDArray[np.float32]) -> int:
        tokens, probabilities = distribution(scores, self.options)
        cumulative = np.cumsum(probabilities)
        index = np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right")
        return int(tokens[min(index, len(tokens) - 1)])


def penalize(logits: NDArray[np.float32], seen: NDArray[np.bool_], penalty: float) -> NDArray[np.float32]:
    """Logits with the repetition penalty applied to the seen tokens."""
    if penalty == 1:
        return logits
    scores, tokens = logits.copy(), np.flatnonzero(seen)
    scores[tokens] = np.where(logits[tokens] > 0, logits[tokens] / penalty, logits[tokens] * penalty)
    return scores


def distribution(scores: NDArray[np.float32], options: SamplingOptions) -> tuple[NDArray[np.intp], Floats]:
    """The tokens that may be drawn and their probabilities; ``options.temperature`` is positive."""
    tokens = _top_k(scores, options.top_k)
    weights = _weights(scores[tokens], options.temperature)
    if options.top_p < 1:
        kept = _nucleus(weights, options.top_p)
        tokens, weights = tokens[kept], weights[kept]
    if options.min_p > 0:
        kept = np.flatnonzero(weights >= options.min_p)
        tokens, weights = tokens[kept], weights[kept]
    return tokens, weights / weights.sum()


def _weights(scores: NDArray[np.float32], temperature: float) -> Floats:
    """What probabilities are proportional to; the most likely token's is 1."""
    with np.errstate(over="ignore"):  # of a tiny temperature
        shifted: Floats = (scores.astype(np.float64) - scores.max()) / temperature
    return np.exp(shifted)


def _nucleus(weights: Floats, share: float) -> NDArray[np.intp]:
    """Indices of the fewest greatest weights that reach a share of the sum; the largest is 1.

    Only those that can belong to them are sorted: a vocabulary of 150,000 takes longer to sort than a model may take to
    compute a token.
    """
    wanted = share * weights.sum()
    for least in (1e-2, 1e-4, 1e-8, 0.0):
        candidates = np.flatnonzero(weights >= least)
        candidates = candidates[np.argsort(-weights[candidates], kind="stable")]
        reached = np.cumsum(weights[candidates])
        if reached[-1] >= wanted:
            break
    before = reached - weights[candidates]
    return candidates[: max(1, int(np.count_nonzero(before < wanted)))]


def _top_k(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Indices of the k highest scores, and of all that tie with the last of them."""
    if not 0 < k < len(scores):
        return np.arange(len(scores))
    threshold = np.partition(scores, -k)[-k]
    return np.flatnonzero(scores >= threshold)
