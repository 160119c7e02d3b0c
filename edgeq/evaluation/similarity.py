# SPDX-License-Identifier: Apache-2.0
"""Quality of encoders: Spearman correlation on sentence pairs (STS-B), and the cosine to the original's vectors."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.texts import read_text

STSB_COLUMNS = (4, 5, 6)  # score and sentences in the distribution's tab-separated files
NAMED_COLUMNS = ("score", "sentence1", "sentence2")


class TextEncoder(Protocol):
    """What is evaluated: `edgeq.runtime.encoder.Encoder`, or a checkpoint in PyTorch."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors ``[texts, width]``."""


@dataclass(frozen=True)
class SentencePairs:
    """Pairs of sentences and how similar people found them."""

    first: list[str]
    second: list[str]
    scores: list[float]


@dataclass(frozen=True)
class Similarity:
    """Quality of an encoder.

    Attributes:
        pairs: Number of pairs.
        spearman: Rank correlation of the pairs' cosines with the scores, in 0..1 (papers print it times 100).
        reference_spearman: The same of the reference; ``None`` without one.
        mean_cosine: Mean cosine between the encoder's vectors and the reference's, over all sentences.
        min_cosine: The smallest of them.
    """

    pairs: int
    spearman: float
    reference_spearman: float | None = None
    mean_cosine: float | None = None
    min_cosine: float | None = None


def evaluate_similarity(encoder: TextEncoder, pairs: SentencePairs, reference: TextEncoder | None = None) -> Similarity:
    """Evaluates an encoder, and how far it is from a reference if one is given."""
    texts = [*pairs.first, *pairs.second]
    vectors = encoder.encode(texts)
    spearman = _pair_correlation(vectors, pairs)
    if reference is None:
        return Similarity(len(pairs.scores), spearman)
    others = reference.encode(texts)
    cosines = row_cosines(vectors, others)
    return Similarity(
        len(pairs.scores), spearman, _pair_correlation(others, pairs), float(cosines.mean()), float(cosines.min())
    )


def read_pairs(path: str | Path) -> SentencePairs:
    """Reads STS-B's own tab-separated form, or a CSV whose header names score, sentence1 and sentence2.

    Raises:
        EdgeqError: The file is missing, empty or of neither form; the line is named.
    """
    lines = read_text(path).splitlines()
    if "\t" in lines[0]:
        rows, columns = [line.split("\t") for line in lines], STSB_COLUMNS
    else:
        header, *rows = list(csv.reader(lines))
        if not set(NAMED_COLUMNS) <= set(header):
            raise EdgeqError(
                "not sentence pairs",
                file=path,
                field="line 1",
                found=",".join(header)[:80],
                wanted=",".join(NAMED_COLUMNS),
            )
        columns = (header.index("score"), header.index("sentence1"), header.index("sentence2"))
    found = [_pair(Path(path), number, row, columns) for number, row in enumerate(rows, 1) if row != [""]]
    if len(found) < 2:
        raise EdgeqError("too few sentence pairs", file=path, found=len(found), wanted="at least 2")
    scores, first, second = zip(*found, strict=True)
    return SentencePairs(list(first), list(second), list(scores))


def spearman_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's rank correlation: Pearson's of the average ranks; NaN if one side is constant."""
    ranks_a, ranks_b = average_ranks(a), average_ranks(b)
    if np.ptp(ranks_a) == 0 or np.ptp(ranks_b) == 0:
        return float("nan")
    return float(np.corrcoef(ranks_a, ranks_b)[0, 1])


def average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


def row_cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine between corresponding rows."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    cosines: NDArray[np.float64] = (x * y).sum(axis=1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))
    return cosines


def _pair_correlation(vectors: NDArray[np.float32], pairs: SentencePairs) -> float:
    half = len(pairs.first)
    return spearman_correlation(row_cosines(vectors[:half], vectors[half:]), np.asarray(pairs.scores))


def _pair(path: Path, number: int, row: list[str], columns: tuple[int, int, int]) -> tuple[float, str, str]:
    try:
        score, first, second = (row[column] for column in columns)
        return float(score), first, second
    except (IndexError, ValueError) as error:
        raise EdgeqError("not a sentence pair", file=path, field=f"line {number}", found=repr(row)[:80]) from error
