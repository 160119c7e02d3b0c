# SPDX-License-Identifier: Apache-2.0
"""The oracles of the allocation: brute force, equal sensitivities, budgets."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.allocation.closed_form import optimal_bits
from edgeq.allocation.dynamic import solve_exactly
from edgeq.allocation.greedy import solve_greedy
from edgeq.allocation.problem import Choice, Problem, Resource, Unit
from edgeq.allocation.solve import solve
from edgeq.errors import EdgeqError

BITS = (2, 3, 4, 8)


def problem_of(tables: list[list[tuple[float, tuple[int, ...]]]], limits: tuple[int, ...]) -> Problem:
    units = [
        Unit((f"layer{number}",), tuple(Choice(f"w{index}", damage, costs) for index, (damage, costs) in enumerate(t)))
        for number, t in enumerate(tables)
    ]
    resources = [Resource(f"--resource{number}", limit, unit="bytes") for number, limit in enumerate(limits)]
    return Problem(tuple(units), tuple(resources))


def brute_force(problem: Problem) -> float | None:
    selections = product(*(range(len(unit.choices)) for unit in problem.units))
    return min((problem.damage(s) for s in selections if problem.fits(s)), default=None)


def quadratic(sensitivity: float, weights: int) -> list[tuple[float, tuple[int, ...]]]:
    return [(weights * sensitivity * 4.0**-bits, (weights * bits,)) for bits in BITS]


@st.composite
def problems(draw: st.DrawFn, resources: int) -> Problem:
    costs = st.tuples(*[st.integers(0, 40)] * resources)
    choices = st.lists(st.tuples(st.floats(0, 10), costs), min_size=1, max_size=3)
    tables = draw(st.lists(choices, min_size=6, max_size=6))
    return problem_of(tables, tuple(draw(st.integers(0, 200)) for _ in range(resources)))


def check(problem: Problem) -> None:
    best, exact, greedy = brute_force(problem), solve_exactly(problem), solve_greedy(problem)
    if best is None:
        assert exact is None
        assert greedy is None
        return
    assert exact is not None
    assert problem.fits(exact)
    assert problem.damage(exact) == pytest.approx(best, rel=1e-9, abs=1e-12)
    if greedy is not None:
        assert problem.fits(greedy)
        assert problem.damage(greedy) >= best - 1e-9


@settings(max_examples=40)
@given(problems(resources=1))
def test_dynamic_programming_equals_brute_force_on_six_layers(problem: Problem) -> None:
    check(problem)


@settings(max_examples=40)
@given(problems(resources=2))
def test_it_does_with_two_budgets(problem: Problem) -> None:
    check(problem)


@given(st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=6), st.integers(12, 48))
def test_greedy_equals_dynamic_programming_on_convex_tables(sensitivities: list[float], limit: int) -> None:
    steps = [[(s * 4.0**-bits, (bits,)) for bits in range(2, 9)] for s in sensitivities]  # a step costs 1
    problem = problem_of(steps, (limit,))
    greedy, exact = solve_greedy(problem), solve_exactly(problem)
    assert greedy is not None
    assert exact is not None
    assert problem.damage(greedy) == pytest.approx(problem.damage(exact))


@pytest.mark.parametrize("bits", BITS)
def test_equal_sensitivities_give_uniform_bits(bits: int) -> None:
    problem = problem_of([quadratic(3.0, 100) for _ in range(6)], (600 * bits,))
    for selection in (solve_exactly(problem), solve_greedy(problem)):
        assert selection == (BITS.index(bits),) * 6
    assert optimal_bits([100] * 6, [3.0] * 6, bits) == pytest.approx([bits] * 6)


def test_four_times_the_sensitivity_is_worth_one_bit_up_to_the_shift() -> None:
    weights, sensitivities = np.array([100, 300, 200.0]), np.array([1.0, 5.0, 0.2])
    before = optimal_bits(weights, sensitivities, 4.0)
    after = optimal_bits(weights, sensitivities * [1, 4, 1], 4.0)
    shift = weights[1] / weights.sum()
    assert after - before == pytest.approx([-shift, 1 - shift, -shift])


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.floats(1e-12, 1e12)), min_size=1, max_size=8),
    st.floats(2, 8),
)
def test_clamped_bits_spend_the_budget_and_equalize_the_free_layers(
    layers: list[tuple[int, float]], average: float
) -> None:
    weights, sensitivities = np.array([w for w, _ in layers], float), np.array([s for _, s in layers])
    bits = optimal_bits(weights, sensitivities, average, 2, 8)
    assert weights @ bits / weights.sum() == pytest.approx(average, abs=1e-6)
    assert bits.min() >= 2
    assert bits.max() <= 8
    damage = np.log2(sensitivities) - 2 * bits
    free = (bits > 2 + 1e-6) & (bits < 8 - 1e-6)
    if free.any():
        level = damage[free].mean()
        assert damage[free] == pytest.approx(level, abs=1e-5)
        assert (damage[bits <= 2 + 1e-6] <= level + 1e-5).all()
        assert (damage[bits >= 8 - 1e-6] >= level - 1e-5).all()


@pytest.mark.parametrize("algorithm", ["exact", "greedy"])
def test_infeasible_budgets_are_refused_with_the_nearest_feasible_one(algorithm: str) -> None:
    resource = Resource("--avg-bits", 1100, fixed=0, scale=1 / 600, unit="bits")
    problem = Problem(problem_of([quadratic(1.0, 100)] * 6, (1,)).units, (resource,))
    with pytest.raises(EdgeqError, match=r"--avg-bits: budget too small, found 1\.8333 bits, wanted at least 2 bits"):
        solve(problem, algorithm)  # type: ignore[arg-type]


def test_budgets_that_exclude_each_other_are_refused() -> None:
    problem = problem_of([[(1.0, (1, 3)), (1.0, (3, 1))]], (2, 2))
    with pytest.raises(EdgeqError, match="--resource0 and --resource1: budgets cannot be met together"):
        solve(problem)


def test_many_layers_of_odd_sizes_are_solved() -> None:
    random = np.random.default_rng(0)
    tables = []
    for _ in range(200):
        weights, sensitivity = int(random.integers(10**5, 10**7)), float(random.lognormal(0, 2))
        tables.append(
            [(damage, (cost[0] + int(random.integers(100)),)) for damage, cost in quadratic(sensitivity, weights)]
        )
    total = sum(max(cost for _, (cost,) in table) for table in tables)
    problem = problem_of(tables, (int(0.4 * total),))
    exact, greedy = solve_exactly(problem), solve_greedy(problem)
    assert exact is not None
    assert greedy is not None
    assert problem.fits(exact)
    assert problem.damage(exact) <= problem.damage(greedy) <= problem.damage(exact) * 1.01
