# SPDX-License-Identifier: Apache-2.0
"""The best selection, by dynamic programming over what has been spent.

States are exact sums of costs (bytes, nanoseconds), not a grid of them: of all selections of the first units only those
are kept that no other beats in every cost and in damage, and that can still become better than the greedy one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.allocation.bounds import Floats, damage_and_costs, multipliers
from edgeq.allocation.greedy import solve_greedy
from edgeq.allocation.problem import Problem, Selection
from edgeq.errors import EdgeqError

MAX_STATES = 4_000_000
TOLERANCE = 1e-9  # of rounding in bounds, relative to the damage of the greedy selection
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class _States:
    """Partial selections: damage ``[states]``, costs ``[states, resources]``, and where each came from."""

    damage: Floats
    costs: Integers
    parents: Integers
    choices: Integers


def solve_exactly(problem: Problem) -> Selection | None:
    """The selection of least damage within all budgets; ``None`` where there is none.

    Raises:
        EdgeqError: There are more states than fit in memory.
    """
    greedy = solve_greedy(problem)
    ceiling = np.inf if greedy is None else problem.damage(greedy)
    search = _Search(problem, ceiling)
    steps = [_start(len(problem.resources))]
    for unit in range(len(problem.units)):
        steps.append(search.extend(steps[-1], unit))
    if not len(steps[-1].damage):
        return greedy
    return _trace(steps)


def _start(resources: int) -> _States:
    nothing = np.zeros(1, np.int64)
    return _States(np.zeros(1), np.zeros((1, resources), np.int64), nothing, nothing)


class _Search:
    def __init__(self, problem: Problem, ceiling: float) -> None:
        self.tables = [damage_and_costs(problem, unit) for unit in range(len(problem.units))]
        self.limits = np.array(problem.limits, np.int64)
        self.prices = multipliers(problem)
        self.ceiling = ceiling + TOLERANCE * abs(ceiling) if np.isfinite(ceiling) else np.inf
        priced = [float((damage + costs @ self.prices).min()) for damage, costs in self.tables]
        least = [costs.min(0) for _, costs in self.tables]
        self.later_value = [sum(priced[index:]) for index in range(1, len(priced) + 1)]
        zero = np.zeros(len(self.limits), np.int64)
        self.later_costs = [sum(least[index:], start=zero) for index in range(1, len(least) + 1)]

    def extend(self, states: _States, unit: int) -> _States:
        """All selections with one unit more that fit, may still win, and are not beaten by another."""
        damage, costs = self.tables[unit]
        if len(states.damage) * len(damage) > MAX_STATES:
            raise EdgeqError("too many combinations for the exact solution", remedy="use --allocation greedy")
        total = (states.damage[:, None] + damage).reshape(-1)
        spent = (states.costs[:, None] + costs).reshape(-1, len(self.limits))
        hopeful = (spent + self.later_costs[unit] <= self.limits).all(1)
        bound = total + self.later_value[unit] + (spent - self.limits) @ self.prices
        chosen = np.flatnonzero(hopeful & (bound <= self.ceiling))
        chosen = chosen[_unbeaten(total[chosen], spent[chosen])]
        return _States(total[chosen], spent[chosen], chosen // len(damage), chosen % len(damage))


def _unbeaten(damage: Floats, costs: Integers) -> Integers:
    """Indices of the states that no other beats or equals in damage and all costs."""
    order = np.lexsort((*costs.T[::-1], damage)) if costs.shape[1] > 1 else np.lexsort((damage, costs[:, 0]))
    if costs.shape[1] == 1:
        sorted_damage = damage[order]
        least = np.minimum.accumulate(np.concatenate([[np.inf], sorted_damage[:-1]]))
        return order[sorted_damage < least]
    kept: list[int] = []
    while len(order):  # by rising damage: whoever is left first is beaten by nobody
        first, order = order[0], order[1:]
        kept.append(int(first))
        order = order[(costs[order] < costs[first]).any(1)]
    return np.array(kept, np.int64)


def _trace(steps: list[_States]) -> Selection:
    state = int(np.argmin(steps[-1].damage))
    selection = []
    for states in steps[:0:-1]:
        selection.append(int(states.choices[state]))
        state = int(states.parents[state])
    return tuple(reversed(selection))
