# SPDX-License-Identifier: Apache-2.0
"""Which layers stay compressed: the least time within a memory budget, or the least memory within a time, exactly.

Each unit of weights is stored in one of several forms, each with its resident bytes and its seconds per token; both
add up. That is a knapsack with several choices per item. Tensors begin at page boundaries, so memory comes in whole
pages, and dynamic programming over pages finds the optimum (Kellerer, Pferschy and Pisinger, Knapsack Problems, 11.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError

PAGE = 4096
CELLS = 1 << 19  # of the table at most; larger models are counted in several pages at a time


@dataclass(frozen=True)
class Form:
    """One way to store a unit.

    Attributes:
        name: Such as ``raw`` or ``rans``.
        memory: Bytes that stay in memory.
        seconds: Time per token.
    """

    name: str
    memory: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """A form for each unit.

    Attributes:
        forms: In the order of the units.
    """

    forms: tuple[Form, ...]

    @property
    def memory(self) -> int:
        """Bytes in memory, each unit rounded up to whole pages."""
        return PAGE * sum(pages(form.memory) for form in self.forms)

    @property
    def seconds(self) -> float:
        """Time per token."""
        return float(sum(form.seconds for form in self.forms))


class Frontier:
    """All trades of memory against time that no other one beats.

    Args:
        units: The forms of each unit; at least one.
        page: Bytes in which memory is counted; by default pages, or several where the model is very large.

    Raises:
        EdgeqError: A unit has no form, or a form's memory or time is negative or not finite.
    """

    def __init__(self, units: Sequence[Sequence[Form]], page: int | None = None) -> None:
        _check(units)
        self._units = [list(forms) for forms in units]
        total = sum(max(form.memory for form in forms) for forms in units)
        self.page = page or PAGE * max(1, -(-total // (PAGE * CELLS)))
        sizes = [[pages(form.memory, self.page) for form in forms] for forms in self._units]
        self._least = [min(row) for row in sizes]
        self._extra = [[size - least for size in row] for row, least in zip(sizes, self._least, strict=True)]
        # times[m]: least time with exactly m pages beyond the least of every unit.
        times = np.zeros(1)
        self._chosen: list[NDArray[np.uint8]] = []
        for forms, extra in zip(self._units, self._extra, strict=True):
            times, chosen = _add_unit(times, forms, extra)
            self._chosen.append(chosen)
        self._times = times

    def fastest(self, memory: int, others: int = 0) -> Plan:
        """The plan of least time with at most so many bytes; of several, the one with the least memory.

        Args:
            memory: Bytes in all.
            others: Bytes of them that no unit takes.

        Raises:
            EdgeqError: Even the smallest forms take more.
        """
        room = (memory - others) // self.page - sum(self._least)
        if room < 0:
            smallest = self.page * sum(self._least) + others
            raise EdgeqError(
                "weights do not fit",
                field="--max-memory",
                found=f"{memory} bytes",
                wanted=f"at least {smallest} bytes",
                remedy="quantize to fewer bits, or with a method that codes well, such as ecgptq",
            )
        return self._plan(int(self._times[: room + 1].argmin()))

    def smallest(self, seconds: float) -> Plan:
        """The plan of least memory with at most so much time; of several, the fastest.

        Raises:
            EdgeqError: Even the fastest forms take longer.
        """
        fitting = np.flatnonzero(self._times <= seconds)
        if not fitting.size:
            raise EdgeqError(
                "no plan is that fast", field="--max-slowdown", found=seconds, wanted=f"at least {self._times.min()}"
            )
        return self._plan(int(fitting[0]))

    def _plan(self, extra: int) -> Plan:
        forms: list[Form] = []
        for unit in reversed(range(len(self._units))):
            choice = int(self._chosen[unit][extra])
            forms.append(self._units[unit][choice])
            extra -= self._extra[unit][choice]
        return Plan(tuple(reversed(forms)))


def pages(memory: int, page: int = PAGE) -> int:
    """Whole pages that hold so many bytes."""
    return -(-memory // page)


def _add_unit(
    times: NDArray[np.float64], forms: Sequence[Form], extra: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Least times with one unit more, and its form in each of them."""
    longer = np.full(len(times) + max(extra), np.inf)
    chosen = np.zeros(len(longer), np.uint8)
    for index, (form, more) in enumerate(zip(forms, extra, strict=True)):
        part = slice(more, more + len(times))
        candidate = times + form.seconds
        better = candidate < longer[part]
        longer[part][better] = candidate[better]
        chosen[part][better] = index
    return longer, chosen


def _check(units: Sequence[Sequence[Form]]) -> None:
    for forms in units:
        if not forms or any(form.memory < 0 or not 0 <= form.seconds < np.inf for form in forms):
            raise EdgeqError("a unit cannot be stored", found=forms, wanted="forms with finite memory and time")
