# SPDX-License-Identifier: Apache-2.0
"""Greedy upgrades: from the cheapest schemes on, always the upgrade that repairs most damage per cost.

Optimal where all upgrades cost the same and each repairs less than the one before it (Fox, 1966); elsewhere near it.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgeq.allocation.problem import Choice, Problem, Selection, Unit


def solve_greedy(problem: Problem) -> Selection | None:
    """A selection within all budgets; ``None`` where the cheapest schemes exceed one.

    Costs of several resources are added in shares of their limits. An upgrade may skip schemes in between, so that
    tables that are not convex are climbed along their convex hull; one that does not fit gives way to the next.
    """
    shares = [1 / max(limit, 1) for limit in problem.limits]
    selection = [_cheapest(unit, shares) for unit in problem.units]
    if not problem.fits(selection):
        return None
    room = [limit - cost for limit, cost in zip(problem.limits, problem.costs(selection), strict=True)]
    while upgrades := list(_upgrades(problem, selection, shares, room)):
        _, unit, index = max(upgrades)
        before, after = problem.units[unit].choices[selection[unit]], problem.units[unit].choices[index]
        room = [r - (b - a) for r, a, b in zip(room, before.costs, after.costs, strict=True)]
        selection[unit] = index
    return tuple(selection)


def _cheapest(unit: Unit, shares: list[float]) -> int:
    def key(index: int) -> tuple[float, float]:
        choice = unit.choices[index]
        return _weigh(choice, shares), choice.damage

    return min(range(len(unit.choices)), key=key)


def _weigh(choice: Choice, shares: list[float]) -> float:
    return sum(cost * share for cost, share in zip(choice.costs, shares, strict=True))


def _upgrades(
    problem: Problem, selection: list[int], shares: list[float], room: list[int]
) -> Iterator[tuple[float, int, int]]:
    """Repaired damage per cost, unit and choice of every upgrade that fits; one that costs nothing comes first."""
    for number, (unit, current) in enumerate(zip(problem.units, selection, strict=True)):
        before = unit.choices[current]
        for index, choice in enumerate(unit.choices):
            fits = all(b - a <= r for a, b, r in zip(before.costs, choice.costs, room, strict=True))
            if fits and choice.damage < before.damage:
                price = _weigh(choice, shares) - _weigh(before, shares)
                gain = before.damage - choice.damage
                yield (gain / price if price > 0 else float("inf")), number, index
