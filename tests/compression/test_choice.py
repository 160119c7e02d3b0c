# SPDX-License-Identifier: Apache-2.0
"""The dynamic programme against all combinations."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.compression.choice import PAGE, Form, Frontier, Plan
from edgeq.errors import EdgeqError

FORM = st.builds(
    Form,
    name=st.sampled_from(["raw", "rans", "nibble"]),
    memory=st.integers(0, 9 * PAGE),
    seconds=st.integers(0, 40).map(lambda eighths: eighths / 8),  # sums of these are exact
)
UNITS = st.lists(st.lists(FORM, min_size=1, max_size=3), min_size=1, max_size=5)


def plans(units: list[list[Form]]) -> list[Plan]:
    return [Plan(forms) for forms in product(*units)]


@given(UNITS, st.integers(0, 50 * PAGE))
def test_fastest_within_a_budget(units: list[list[Form]], memory: int) -> None:
    fitting = [plan for plan in plans(units) if plan.memory <= memory]
    if not fitting:
        with pytest.raises(EdgeqError, match="do not fit"):
            Frontier(units).fastest(memory)
        return
    found = Frontier(units).fastest(memory)
    assert Frontier(units).fastest(memory + 100, others=100) == found
    least = min(plan.seconds for plan in fitting)
    assert (found.memory, found.seconds) == (min(p.memory for p in fitting if p.seconds == least), least)


def test_a_budget_too_small_is_said_of_all_that_it_counts() -> None:
    with pytest.raises(EdgeqError, match=r"found 1000 bytes, wanted at least 7096 bytes"):
        Frontier([[Form("raw", 4000, 1.0)]]).fastest(1000, others=3000)


@given(UNITS, st.integers(0, 250))
def test_smallest_within_a_time(units: list[list[Form]], eighths: int) -> None:
    fitting = [plan for plan in plans(units) if plan.seconds <= eighths / 8]
    if not fitting:
        with pytest.raises(EdgeqError, match="that fast"):
            Frontier(units).smallest(eighths / 8)
        return
    found = Frontier(units).smallest(eighths / 8)
    assert found.memory == min(plan.memory for plan in fitting)
    assert found.seconds == min(plan.seconds for plan in fitting if plan.memory == found.memory)


def test_large_models_are_counted_in_several_pages_and_keep_the_budget() -> None:
    units = [[Form("raw", 100_000_000 + i, 1.0), Form("rans", 45_000_000 + i, 3.0)] for i in range(60)]
    frontier = Frontier(units)
    assert frontier.page > PAGE
    plan = frontier.fastest(4_000_000_000)
    assert plan.memory <= 4_000_000_000
    assert plan.seconds == 60 + 2 * sum(form.name == "rans" for form in plan.forms)
    assert sum(form.name == "rans" for form in plan.forms) == 37  # 60 · 100 MB − 36 · 55 MB is still too much


@pytest.mark.parametrize("form", [Form("raw", -1, 1.0), Form("raw", 1, float("nan")), Form("raw", 1, float("inf"))])
def test_senseless_forms_are_refused(form: Form) -> None:
    with pytest.raises(EdgeqError, match="cannot be stored"):
        Frontier([[form]])
