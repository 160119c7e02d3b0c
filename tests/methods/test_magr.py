# SPDX-License-Identifier: Apache-2.0
"""The properties that the paper's algorithm has by construction (arXiv 2406.00800)."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.formats import UniformFormat
from edgeq.methods import magr
from edgeq.methods.pipeline import Pipeline, output_errors
from tests.methods.layers import output_error, random_inputs, random_weight, statistics_of


def _project_on_l1_ball(values: torch.Tensor, radius: float) -> torch.Tensor:
    """By sorting, as the paper states it."""
    if values.abs().sum() <= radius:
        return values
    magnitudes = values.abs().sort(descending=True).values
    excess = (magnitudes.cumsum(0) - radius) / torch.arange(1, len(values) + 1)
    threshold = excess[int((magnitudes > excess).nonzero().max())]
    return values.sign() * (values.abs() - threshold).clamp(min=0)


@given(st.integers(0, 10_000), st.integers(1, 60), st.floats(1e-6, 100))
def test_prox_is_what_the_projection_on_the_l1_ball_leaves(seed: int, columns: int, radius: float) -> None:
    values = random_weight(3, columns, seed).double()
    expected = torch.stack([row - _project_on_l1_ball(row, radius) for row in values])
    torch.testing.assert_close(magr.prox(values, radius), expected, rtol=0, atol=1e-12)


@given(st.integers(0, 10_000), st.floats(1e-4, 20))
def test_clipping_removes_the_radius_from_the_l1_norm(seed: int, radius: float) -> None:
    values = random_weight(4, 30, seed).double()
    removed = (values - magr.prox(values, radius)).abs().sum(1)
    torch.testing.assert_close(removed, values.abs().sum(1).clamp(max=radius), rtol=1e-12, atol=1e-12)


def test_prox_of_equal_and_zero_weights() -> None:
    torch.testing.assert_close(magr.prox(torch.full((1, 4), -2.0), 4.0), torch.full((1, 4), -1.0))
    assert not magr.prox(torch.zeros(2, 3), 1.0).any()
    assert not magr.prox(torch.tensor([[0.5, -0.25]]), 0.75).any()


@pytest.mark.parametrize("group_size", [0, 16])
def test_no_step_raises_the_objective(group_size: int) -> None:
    weight, statistics = random_weight(5, 40), statistics_of(random_inputs(30, 40))
    values = [
        magr.objective(
            magr.reduce_magnitude(weight, statistics.gram, 1e-2, group_size, steps),
            weight,
            statistics.gram,
            1e-2,
            group_size,
        )
        for steps in range(12)
    ]
    for before, after in itertools.pairwise(values):
        assert (after <= before + 1e-6).all()
    assert (values[-1] < values[0]).all()


@pytest.mark.parametrize("alpha", [1e-4, 1e-2])
def test_outputs_stay_within_the_bound_of_the_paper(alpha: float) -> None:
    """‖X(w − ŵ)‖² ≤ 2α‖ŵ‖_∞ with X scaled to a largest singular value of 1, while no magnitude rises."""
    inputs, weight = random_inputs(80, 48), random_weight(6, 48)
    reduced = magr.reduce_magnitude(weight, statistics_of(inputs).gram, alpha)
    scaled = inputs.double() / torch.linalg.matrix_norm(inputs.double(), 2)
    change = (scaled @ (reduced - weight).double().T).square().sum(0)
    peaks = weight.abs().amax(1)
    assert (change <= 2 * alpha * peaks).all()
    assert (reduced.abs().amax(1) < peaks).all()


def test_alpha_zero_changes_nothing() -> None:
    weight, gram = random_weight(3, 32), statistics_of(random_inputs(64, 32)).gram
    torch.testing.assert_close(magr.reduce_magnitude(weight, gram, 0.0), weight, rtol=0, atol=0)
    torch.testing.assert_close(magr.reduce_magnitude(weight, gram, 1e-9), weight, rtol=0, atol=1e-5)


def test_low_rank_inputs_let_magnitudes_fall_far_and_well_conditioned_ones_do_not() -> None:
    weight = 0.02 * random_weight(8, 64)
    low_rank, white = random_inputs(500, 64, rank=4), random_weight(500, 64, seed=5)

    def fall(inputs: torch.Tensor) -> float:
        reduced = magr.reduce_magnitude(weight, statistics_of(inputs).gram, 1e-3)
        assert output_error(reduced, weight, inputs) < 1e-3 * output_error(weight, torch.zeros_like(weight), inputs)
        return float((reduced.abs().amax(1) / weight.abs().amax(1)).mean())

    assert fall(low_rank) < 0.5
    assert fall(white) > 0.9


def test_one_group_is_the_whole_row() -> None:
    weight, gram = random_weight(4, 48), statistics_of(random_inputs(100, 48)).gram
    torch.testing.assert_close(
        magr.reduce_magnitude(weight, gram, 1e-3, 48), magr.reduce_magnitude(weight, gram, 1e-3), rtol=0, atol=0
    )


def test_a_short_last_group_is_clipped_by_itself() -> None:
    gram = torch.eye(40, dtype=torch.float64)
    weight = torch.ones(1, 40)
    reduced = magr.reduce_magnitude(weight, gram, 0.8, 32, iterations=1)
    torch.testing.assert_close(reduced[0], torch.tensor([1 - 0.8 / 32] * 32 + [1 - 0.8 / 8] * 8))


@given(st.integers(0, 1000), st.integers(1, 20))
def test_the_largest_eigenvalue_is_a_safe_step(seed: int, columns: int) -> None:
    gram = statistics_of(random_inputs(columns + 3, columns, seed=seed)).gram
    exact = float(torch.linalg.eigvalsh(gram)[-1])
    assert exact * (1 - 1e-6) <= magr.largest_eigenvalue(gram) <= exact * (1 + 1e-2)


def test_the_largest_eigenvalue_of_difficult_matrices() -> None:
    opposed = torch.tensor([[1.0, -0.9], [-0.9, 1.0]], dtype=torch.float64)
    assert magr.largest_eigenvalue(opposed) == pytest.approx(1.9, rel=1e-6)
    assert magr.largest_eigenvalue(torch.zeros(3, 3, dtype=torch.float64)) == 0.0


def test_rank_fraction_counts_the_directions_of_the_inputs() -> None:
    assert magr.rank_fraction(statistics_of(random_inputs(300, 40, rank=10)).gram) == 0.25
    assert magr.rank_fraction(torch.eye(16, dtype=torch.float64)) == 1.0


def test_auto_is_never_worse_than_any_alpha() -> None:
    weight, statistics, fmt = random_weight(24, 64), statistics_of(random_inputs(200, 64)), UniformFormat(3, 0, False)

    def errors(alpha: float | str) -> torch.Tensor:
        pipeline = Pipeline.parse("magr+rtn", {"magr.alpha": alpha})
        return output_errors(pipeline.quantize(weight, fmt, statistics).tensor, fmt, weight, statistics)

    chosen = errors("auto")
    for alpha in magr.ALPHAS:
        assert (chosen <= errors(alpha)).all()


def test_what_magr_needs_is_asked_for() -> None:
    with pytest.raises(EdgeqError, match="needs calibration"):
        magr.transform(random_weight(2, 32), None, UniformFormat(4))
    with pytest.raises(EdgeqError, match=r"magr.alpha: wrong weight of magnitudes"):
        magr.transform(
            random_weight(2, 32), statistics_of(random_inputs(9, 32)), UniformFormat(4), magr.Options(alpha=-1.0)
        )
