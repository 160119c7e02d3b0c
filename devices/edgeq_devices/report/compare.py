# SPDX-License-Identifier: Apache-2.0
"""Two profiles beside each other: ratios of rates with confidence intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq_devices.report.documents import Profile, Row

RESAMPLES = 10_000
CONFIDENCE = 0.95
LEAST_SAMPLES = 3


@dataclass(frozen=True)
class Difference:
    """One test of two profiles.

    Attributes:
        first: Row of the first profile.
        second: The same test, threads and cores of the second.
        ratio: Median rate of the second over that of the first.
        low: Lower end of the bootstrap confidence interval of the ratio; ``None`` for fewer than 3 samples.
        high: Upper end.
    """

    first: Row
    second: Row
    ratio: float
    low: float | None
    high: float | None

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out 1, and no row is flagged."""
        flagged = self.first.flags or self.second.flags
        return not flagged and self.low is not None and self.high is not None and not self.low <= 1 <= self.high


def compare(first: Profile, second: Profile) -> Iterator[Difference]:
    """The tests that both profiles hold, in the order of the first."""
    others = {row.key: row for row in second.results}
    for row in first.results:
        if row.key in others:
            yield difference(row, others[row.key])


def difference(first: Row, second: Row) -> Difference:
    """Compares two rows by their samples."""
    ratio = float(np.median(second.samples_ts) / np.median(first.samples_ts))
    if min(len(first.samples_ts), len(second.samples_ts)) < LEAST_SAMPLES:
        return Difference(first, second, ratio, None, None)
    rng = np.random.default_rng(0)
    ratios = _medians(second.samples_ts, rng) / _medians(first.samples_ts, rng)
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(first, second, ratio, float(low), float(high))


def _medians(samples: Sequence[float], rng: np.random.Generator) -> NDArray[np.float64]:
    """Medians of resamples with replacement."""
    values = np.asarray(samples, np.float64)
    medians: NDArray[np.float64] = np.median(values[rng.integers(0, len(values), (RESAMPLES, len(values)))], axis=1)
    return medians
