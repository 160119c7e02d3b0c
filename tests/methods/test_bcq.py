# SPDX-License-Identifier: Apache-2.0
"""Binary-coded solver: closed forms, exhaustive search on tiny rows, no round raises the error."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, UniformFormat
from edgeq.methods import bcq, gptq, rtn
from edgeq.methods.grids import GridOptions, fit_grid
from edgeq.methods.grids.bcq import BcqGridOptions, alternate, greedy, improve, levels_of
from edgeq.methods.grids.sorted_rows import SortedRows
from tests.methods.layers import decode, output_error, random_inputs, random_weight, statistics_of


def _importance(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) + 0.01


def _error(rows: SortedRows, solution: torch.Tensor) -> torch.Tensor:
    return rows.error(levels_of(solution).sort(1).values)


def test_the_error_from_running_sums_is_the_error() -> None:
    weight, importance = random_weight(7, 50), _importance(7, 50)
    levels = random_weight(7, 8, seed=9).double().sort(1).values
    distance = (weight.double().unsqueeze(2) - levels.unsqueeze(1)).abs().amin(2)
    shares = importance.double() / importance.double().mean(1, keepdim=True)
    expected = (shares * distance.square()).sum(1)
    torch.testing.assert_close(SortedRows(weight, importance).error(levels), expected)


def test_one_greedy_plane_is_sign_and_mean_magnitude() -> None:
    """The closed form of the paper, around the mean."""
    weight, importance = random_weight(6, 40), _importance(40)
    solution = greedy(SortedRows(weight, importance), 1)
    shares = importance.double() / importance.double().sum()
    mean = (shares * weight).sum(1)
    magnitude = (shares * (weight.double() - mean.unsqueeze(1)).abs()).sum(1)
    torch.testing.assert_close(solution, torch.stack([magnitude, mean], 1))


@given(st.integers(0, 10_000), st.integers(1, 4), st.booleans())
def test_no_round_raises_the_error(seed: int, planes: int, weighted: bool) -> None:
    rows = SortedRows(random_weight(5, 33, seed), _importance(33, seed=seed) if weighted else None)
    solution = greedy(rows, planes)
    errors = [_error(rows, solution)]
    for _ in range(8):
        solution = improve(rows, solution)
        errors.append(_error(rows, solution))
    assert all((after <= before * (1 + 1e-9) + 1e-12).all() for before, after in itertools.pairwise(errors))


@pytest.mark.parametrize("planes", [1, 2])
def test_tiny_rows_are_near_the_best_of_all_codes(planes: int) -> None:
    """Every assignment of codes, each with its best coefficients; one plane has one border, which the search finds."""
    weight = random_weight(20, 6)
    found = _error(rows := SortedRows(weight), alternate(rows, planes, 15))
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=6 * planes)), dtype=torch.float64)
    design = torch.cat([signs.reshape(-1, planes, 6), torch.ones(len(signs), 1, 6, dtype=torch.float64)], 1)
    basis = torch.linalg.svd(design, full_matrices=False)
    directions = torch.where(basis.S.unsqueeze(2) > 1e-9, basis.Vh, 0.0)
    explained = (directions @ weight.double().T).square().sum(1).amax(0)
    best = weight.double().square().sum(1) - explained
    assert (found >= best - 1e-9).all()
    assert found.sum() <= best.sum() * (1.0 if planes == 1 else 1.25) + 1e-9


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_uniform_is_a_special_case(bits: int) -> None:
    """Weights on a uniform grid come back exactly; other weights have no larger error than with the uniform grid."""
    generator = torch.Generator().manual_seed(0)
    on_grid = 0.25 * torch.randint(0, 2**bits, (5, 64), generator=generator).float() - 0.5
    fmt = BcqFormat(bits, 32)
    torch.testing.assert_close(decode(fmt, bcq.quantize(on_grid, fmt)), on_grid, rtol=0, atol=2e-4)
    weight = random_weight(64, 128)
    image = decode(fmt, rtn.quantize(weight, fmt, clip="mse"))
    error = (decode(fmt, bcq.quantize(weight, fmt)) - weight).square().reshape(-1, 32).sum(1)
    uniform = (image - weight).square().reshape(-1, 32).sum(1)
    assert error.sum() < 0.95 * uniform.sum()
    assert (error <= uniform * 1.02).double().mean() > 0.97


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_grid_rounds_to_the_nearest_stored_level(bits: int) -> None:
    fmt, weight = BcqFormat(bits, 32), random_weight(12, 72)
    tensor = bcq.quantize(weight, fmt)
    levels = _stored_levels(tensor.coefficients, tensor.offsets)  # type: ignore[union-attr]
    distance = (weight.unsqueeze(2) - levels.repeat_interleave(32, 1)[:, :72]).abs()
    chosen = (weight - decode(fmt, tensor)).abs()
    assert (chosen <= distance.amin(2) + 1e-6).all()


def _stored_levels(coefficients: object, offsets: object) -> torch.Tensor:
    alphas, z = torch.as_tensor(coefficients).float(), torch.as_tensor(offsets).float()
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=alphas.shape[2])))
    return alphas @ signs.T + z.unsqueeze(2)


def test_importance_moves_error_to_where_it_costs_less() -> None:
    weight, inputs, fmt = random_weight(32, 64), random_inputs(300, 64), BcqFormat(2, 0)
    statistics = statistics_of(inputs)
    costs = [
        float(((decode(fmt, tensor) - weight).square() * statistics.diagonal).sum())
        for tensor in (bcq.quantize(weight, fmt, statistics), bcq.quantize(weight, fmt))
    ]
    assert costs[0] < costs[1]


def test_the_sweep_lowers_the_output_error() -> None:
    weight, inputs = random_weight(48, 96), random_inputs(400, 96, rank=60)
    statistics = statistics_of(inputs)
    for fmt in (BcqFormat(1, 0), BcqFormat(2, 32), BcqFormat(3, 96)):
        alone = output_error(weight, decode(fmt, bcq.quantize(weight, fmt, statistics)), inputs)
        swept = output_error(weight, decode(fmt, gptq.quantize(weight, fmt, statistics)), inputs)
        assert swept < 0.8 * alone


def test_beta_scales_the_levels_about_their_offset() -> None:
    weight = random_weight(4, 32)
    whole, half = (fit_grid(BcqFormat(2), weight, None, BcqGridOptions(beta=beta)) for beta in (1.0, 0.5))
    torch.testing.assert_close(half.coefficients, whole.coefficients / 2)  # type: ignore[attr-defined]
    torch.testing.assert_close(half.offset, whole.offset)  # type: ignore[attr-defined]


def test_degenerate_rows() -> None:
    for fmt in (BcqFormat(1, 32), BcqFormat(4, 0)):
        constant = torch.tensor([[0.0] * 40, [0.5] * 40, [-3.0] * 39 + [5.0]])
        torch.testing.assert_close(decode(fmt, bcq.quantize(constant, fmt)), constant, rtol=1e-3, atol=1e-3)
    inputs = random_inputs(50, 64)
    inputs[:, :32] = 0
    weight = random_weight(3, 64)
    fmt = BcqFormat(2, 32)
    found = decode(fmt, bcq.quantize(weight, fmt, statistics_of(inputs)))
    assert (found - weight)[:, :32].square().mean() < 0.2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(EdgeqError, match="wanted a -bcq scheme"):
        bcq.quantize(random_weight(2, 32), UniformFormat(4))
    with pytest.raises(EdgeqError, match="does not fit float16"):
        bcq.quantize(1e6 * random_weight(2, 32), BcqFormat(2))
    with pytest.raises(EdgeqError, match="weights are not finite"):
        bcq.quantize(torch.full((2, 32), torch.nan), BcqFormat(2))
    with pytest.raises(EdgeqError, match="importance is not finite"):
        fit_grid(BcqFormat(2), random_weight(2, 32), torch.full((32,), torch.inf), GridOptions())
