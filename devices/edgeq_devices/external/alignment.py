# SPDX-License-Identifier: Apache-2.0
"""The offset between a meter's clock and the board's, from the pattern of load and rest that the board made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.errors import EdgeqError
from edgeq_devices.external.recording import Array, Recording

LEAST_CORRELATION = 0.7
MARGIN = 0.5  # seconds of rest around the pattern that are compared too
COARSE, FINE = 0.05, 0.002  # seconds

Span = tuple[float, float]


@dataclass(frozen=True)
class Alignment:
    """How two clocks lie.

    Attributes:
        offset: Seconds to add to the meter's clock to obtain the board's.
        correlation: Between the recorded power and the pattern, 1 where it follows it exactly.
    """

    offset: float
    correlation: float


def align(recording: Recording, loads: Sequence[Span]) -> Alignment:
    """Finds the pattern in a recording, wherever it is.

    Args:
        recording: Power around the pattern.
        loads: Start and end of each stretch of load in seconds of the board's clock, in order.

    Raises:
        EdgeqError: The power does not follow the pattern anywhere.
    """
    coarse = _slide(recording, loads, COARSE)
    fine = [_correlate(recording, loads, coarse + step) for step in np.arange(-2 * COARSE, 2 * COARSE, FINE)]
    best = max(fine, key=lambda alignment: alignment.correlation)
    if not best.correlation >= LEAST_CORRELATION:
        raise EdgeqError(
            "the recorded power does not follow the load pattern",
            field="correlation",
            found=f"{best.correlation:.2f}",
            wanted=f"at least {LEAST_CORRELATION}",
            remedy="record from before the measurement until after it, at 10 samples a second or more",
        )
    return best


def _times(loads: Sequence[Span], step: float) -> Array:
    return np.arange(loads[0][0] - MARGIN, loads[-1][1] + MARGIN, step)


def _pattern(loads: Sequence[Span], times: Array) -> Array:
    """1 under load, 0 at rest, less their mean, of length 1."""
    loaded = np.any([(times >= start) & (times < end) for start, end in loads], axis=0).astype(np.float64)
    loaded -= loaded.mean()
    normed: Array = loaded / np.linalg.norm(loaded)
    return normed


def _slide(recording: Recording, loads: Sequence[Span], step: float) -> float:
    """The offset of the stretch that correlates best; a normalized cross-correlation over the whole recording."""
    clock = np.arange(recording.seconds[0], recording.seconds[-1], step)
    pattern = _pattern(loads, _times(loads, step))
    if len(clock) < len(pattern):
        raise EdgeqError(
            "the recording is shorter than the load pattern",
            found=f"{recording.seconds[-1] - recording.seconds[0]:.1f} s",
            wanted=f"{len(pattern) * step:.1f} s",
        )
    power = np.interp(clock, recording.seconds, recording.watts)
    power -= power.mean()
    sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (power, power**2))
    count = len(pattern)
    spread = squares[count:] - squares[:-count] - (sums[count:] - sums[:-count]) ** 2 / count
    # A stretch of constant power follows nothing; rounding may leave it a tiny spread.
    scale = np.sqrt(np.maximum(spread, 1e-9 * squares[-1] + 1e-30))
    start = clock[int(np.argmax(np.correlate(power, pattern) / scale))]
    return float(loads[0][0] - MARGIN - start)


def _correlate(recording: Recording, loads: Sequence[Span], offset: float) -> Alignment:
    times = _times(loads, COARSE / 5)
    power = np.interp(times - offset, recording.seconds, recording.watts)
    power -= power.mean()
    norm = float(np.linalg.norm(power))
    return Alignment(float(offset), float(power @ _pattern(loads, times)) / norm if norm else 0.0)
