# SPDX-License-Identifier: Apache-2.0
"""Statistics of repeated timings, computed as llama-bench computes them. Standard library only."""

from __future__ import annotations

import math
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


@dataclass(frozen=True)
class Percentiles:
    """Nanoseconds below which half, 95 and 99 of a hundred samples lie (nearest rank)."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Percentiles:
        """Of at least one sample."""
        ordered = sorted(samples)
        return cls(*(ordered[math.ceil(share * len(ordered)) - 1] for share in (0.50, 0.95, 0.99)))

    def as_fields(self, name: str) -> dict[str, float]:
        """``NAME_p50_ns`` and so on."""
        return {f"{name}_p50_ns": self.p50, f"{name}_p95_ns": self.p95, f"{name}_p99_ns": self.p99}


def rates(samples_ns: Sequence[int], work: int) -> list[float]:
    """Units of work per second of each repetition; their mean is the mean of rates, not the rate of the mean time."""
    return [work * NANOSECONDS / sample for sample in samples_ns]
