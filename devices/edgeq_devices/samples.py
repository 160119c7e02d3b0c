# SPDX-License-Identifier: Apache-2.0
"""Statistics of repeated timings, computed as llama-bench computes them. Standard library only."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (n - 1; zero for a single sample)."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Summary:
        """Summarizes at least one sample."""
        return cls(statistics.fmean(samples), statistics.stdev(samples) if len(samples) > 1 else 0.0)

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.deviation:.2f}"


def rates(samples_ns: Sequence[int], work: int) -> list[float]:
    """Units of work per second of each repetition; their mean is the mean of rates, not the rate of the mean time."""
    return [work * NANOSECONDS / sample for sample in samples_ns]
