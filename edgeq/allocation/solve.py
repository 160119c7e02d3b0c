# SPDX-License-Identifier: Apache-2.0
"""Solves a problem by either algorithm, or says why there is no solution."""

from __future__ import annotations

from edgeq.allocation.budget import Algorithm
from edgeq.allocation.dynamic import solve_exactly
from edgeq.allocation.greedy import solve_greedy
from edgeq.allocation.problem import Problem, Selection
from edgeq.errors import EdgeqError

SOLVERS = {"exact": solve_exactly, "greedy": solve_greedy}


def solve(problem: Problem, algorithm: Algorithm = "exact") -> Selection:
    """The choice of each unit; no budget is exceeded.

    Raises:
        EdgeqError: No selection fits; the nearest feasible budget is named.
    """
    problem.check_feasible()
    selection = SOLVERS[algorithm](problem)
    if selection is None:
        raise EdgeqError(
            "budgets cannot be met together",
            field=" and ".join(resource.option for resource in problem.resources),
            found=" and ".join(resource.describe(resource.limit) for resource in problem.resources),
            remedy="raise one of them" + ("" if algorithm == "exact" else ", or use --allocation exact"),
        )
    assert problem.fits(selection)
    return selection
