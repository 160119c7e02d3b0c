# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from edgeq.errors import EdgeqError
from edgeq.formats import DintFormat
from edgeq.methods.grids import GridOptions, assemble, fit_grid, restore
from edgeq.methods.grids.dint import DintGrid


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("bits", "denominator"), [(3, 2), (4, 2), (4, 4), (3, 8)])
def test_grids_round_as_the_format_encodes(bits: int, denominator: int, symmetric: bool) -> None:
    fmt = DintFormat(bits, 32, symmetric, denominator)
    weights = torch.randn(17, 64, generator=torch.Generator().manual_seed(1))
    grids = [fit_grid(fmt, group) for group in weights.split(32, 1)]
    codes = torch.cat([grid.round(group) for grid, group in zip(grids, weights.split(32, 1), strict=True)], 1)
    tensor = assemble(fmt, codes, grids)
    decoded = torch.cat([grid.decode(part) for grid, part in zip(grids, codes.split(32, 1), strict=True)], 1)
    torch.testing.assert_close(torch.from_numpy(fmt.decode(tensor)), decoded, rtol=0, atol=0)
    nearest = fmt.encode(weights.numpy(), tensor.scales, tensor.zero_points)
    error = (decoded - weights).abs()
    torch.testing.assert_close(error, (torch.from_numpy(fmt.decode(nearest)) - weights).abs(), rtol=1e-6, atol=1e-6)
    for grid, again in zip(grids, restore(fmt, tensor), strict=True):
        torch.testing.assert_close(again.levels, grid.levels, rtol=0, atol=0)


@pytest.mark.parametrize("clip", ["minmax", "mse", "l3"])
def test_the_range_of_a_group_is_covered(clip: str) -> None:
    weights = torch.tensor([[-6.0, 7.0] + [0.5, -0.5] * 15])
    grid = fit_grid(DintFormat(4), weights, None, GridOptions(clip))
    torch.testing.assert_close(grid.nearest(weights), weights, rtol=0, atol=0)


def test_a_search_lowers_the_squared_error() -> None:
    weights = torch.randn(8, 128, generator=torch.Generator().manual_seed(2))
    errors = [
        (fit_grid(DintFormat(3), weights, None, GridOptions(clip)).nearest(weights) - weights).square().sum(1)
        for clip in ("minmax", "mse")
    ]
    assert (errors[1] <= errors[0]).all()
    assert errors[1].sum() < errors[0].sum()


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("bits", "denominator"), [(3, 2), (4, 2), (4, 4), (3, 8)])
def test_nearest_levels_are_those_of_the_codes(bits: int, denominator: int, symmetric: bool) -> None:
    """At and beside the borders, at the levels, beyond the range, with one-sided ranges, turned scales and none."""
    random = torch.Generator().manual_seed(1)
    fmt = DintFormat(bits, 0, symmetric, denominator)
    weights = torch.randn(3000, 64, generator=random)
    weights[:1000] = weights[:1000].abs() * torch.tensor([1.0, -1.0]).repeat(500)[:, None]
    weights[1000] = 0
    grid = fit_grid(fmt, weights, None, GridOptions("minmax"))
    assert isinstance(grid, DintGrid)
    above, below = (torch.nextafter(grid.borders, torch.tensor(end)) for end in (torch.inf, -torch.inf))
    columns = torch.cat([weights, 9 * weights, weights.bfloat16().float(), grid.levels, grid.borders, above, below], 1)
    torch.testing.assert_close(grid.nearest(columns), grid.decode(grid.round(columns)), rtol=0, atol=0)


def test_zero_weights() -> None:
    grid = fit_grid(DintFormat(4, symmetric=False), torch.zeros(3, 32))
    assert (grid.nearest(torch.zeros(3, 32)) == 0).all()


def test_not_finite() -> None:
    with pytest.raises(EdgeqError, match="weights are not finite"):
        fit_grid(DintFormat(4), torch.full((1, 32), float("nan")))
