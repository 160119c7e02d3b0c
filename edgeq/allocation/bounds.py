# SPDX-License-Identifier: Apache-2.0
"""Lagrangian bounds: what a selection must cost at least, for leaving out states that cannot become the best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeq.allocation.problem import Problem

Floats = NDArray[np.float64]
STEPS, ROUNDS, ACCURACY = 80, 4, 1e-6


def multipliers(problem: Problem) -> Floats:
    """A price of each resource, float64 ``[resources]``, at which the cheapest selection nearly fills the budgets.

    Any prices give valid bounds (weak duality); these give sharp ones. With one resource they are optimal.
    """
    prices = np.zeros(len(problem.resources))
    tables = [damage_and_costs(problem, unit) for unit in range(len(problem.units))]
    for _ in range(ROUNDS if len(prices) > 1 else 1):
        for resource, limit in enumerate(problem.limits):
            prices[resource] = _price(tables, prices, resource, limit)
    return prices


def damage_and_costs(problem: Problem, unit: int) -> tuple[Floats, NDArray[np.int64]]:
    """Damage float64 ``[choices]`` and costs int64 ``[choices, resources]`` of a unit."""
    choices = problem.units[unit].choices
    costs = np.array([choice.costs for choice in choices], np.int64).reshape(len(choices), len(problem.resources))
    return np.array([choice.damage for choice in choices]), costs


def _price(tables: list[tuple[Floats, NDArray[np.int64]]], prices: Floats, resource: int, limit: int) -> float:
    """The least price of one resource at which it is not overdrawn, by bisection; 0 where none helps."""
    if _taken(tables, prices, resource, 0.0) <= limit:
        return 0.0
    # One whole unit less of the resource can never be worth more than all damage there is.
    low, high = 0.0, sum(float(np.ptp(damage)) for damage, _ in tables) + 1e-12
    if _taken(tables, prices, resource, high) > limit:
        return 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2 if low else high / 16
        low, high = (middle, high) if _taken(tables, prices, resource, middle) > limit else (low, middle)
        if high - low <= ACCURACY * high:
            break
    return high


def _taken(tables: list[tuple[Floats, NDArray[np.int64]]], prices: Floats, resource: int, price: float) -> int:
    """What the selection that is best at these prices takes of a resource."""
    trial = prices.copy()
    trial[resource] = price
    total = 0
    for damage, costs in tables:
        total += int(costs[np.argmin(damage + costs @ trial), resource])
    return total
