# SPDX-License-Identifier: Apache-2.0
"""Counters that start again at zero."""

from __future__ import annotations


class Unwrapped:
    """The growth of a counter since its first value.

    Between two values it may wrap around once; to notice a second time is for who samples often enough.

    Args:
        period: The value at which the counter starts again; in the counter's unit.
    """

    def __init__(self, period: float) -> None:
        if not period > 0:
            raise ValueError(f"counter range: found {period}, wanted a positive number")
        self.period = period
        self.total = 0.0
        self._last: float | None = None

    def advance(self, value: float) -> float:
        """Takes the counter's value, returns the growth so far.

        Raises:
            ValueError: The value is outside the counter's range.
        """
        if not 0 <= value <= self.period:
            raise ValueError(f"counter: found {value}, wanted 0 to {self.period}")
        if self._last is not None:
            self.total += (value - self._last) % self.period
        self._last = value
        return self.total
