# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, CodebookFormat, Format, UniformFormat
from edgeq.methods import cd, refit
from edgeq.methods.grids import GridOptions
from edgeq.methods.pipeline import Pipeline
from edgeq.methods.rtn import round_groups
from tests.methods.layers import decode, output_error, random_inputs, random_weight, statistics_of

FORMATS = [
    UniformFormat(2, 32),
    UniformFormat(3, 0, symmetric=False),
    BcqFormat(2, 32),
    BcqFormat(1, 0),
    CodebookFormat(2, 64),
]


def _errors(weight: torch.Tensor, other: torch.Tensor, hessian: torch.Tensor) -> torch.Tensor:
    error = (weight - other).double()
    return ((error @ hessian.double()) * error).sum(1)


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_no_row_gets_worse_and_the_codes_stay(fmt: Format) -> None:
    weight, hessian = random_weight(9, 80), cd.damped(statistics_of(random_inputs(200, 80)).gram, 0.01)
    tensor = round_groups(weight, fmt, None, GridOptions())
    fitted = refit.fit_scales(tensor, fmt, weight, hessian)
    before, after = (_errors(weight, decode(fmt, part), hessian) for part in (tensor, fitted))
    assert (after <= before * 1.001).all()
    assert after.sum() < 0.97 * before.sum()
    assert torch.equal(torch.from_numpy(fitted.codes), torch.from_numpy(tensor.codes))


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_weights_of_a_grid_are_found_again(fmt: Format) -> None:
    """From wrong scales, where the codes are right."""
    hessian = cd.damped(statistics_of(random_inputs(300, 80)).gram, 0.01)
    tensor = round_groups(random_weight(6, 80), fmt, None, GridOptions())
    target = 1.25 * decode(fmt, tensor)
    torch.testing.assert_close(
        decode(fmt, refit.fit_scales(tensor, fmt, target, hessian)), target, rtol=2e-3, atol=2e-3
    )


def test_scales_are_those_of_least_squares() -> None:
    """Per row, against a dense solution in float64."""
    fmt, weight = BcqFormat(2, 32), random_weight(3, 72)
    hessian = cd.damped(statistics_of(random_inputs(200, 72)).gram, 0.01)
    tensor = round_groups(weight, fmt, None, GridOptions())
    found = _errors(weight, decode(fmt, refit.fit_scales(tensor, fmt, weight, hessian)), hessian)
    root = torch.linalg.cholesky(hessian.double())
    for row, codes in enumerate(torch.from_numpy(tensor.codes)):
        basis = []
        for start in range(0, 72, 32):
            inside = torch.zeros(72, dtype=torch.float64)
            inside[start : start + 32] = 1
            basis += [inside * ((codes >> plane & 1) * 2 - 1) for plane in range(2)] + [inside]
        design = root.T @ torch.stack(basis, 1)
        wanted = root.T @ weight[row].double()
        best = (wanted - design @ torch.linalg.lstsq(design, wanted).solution).square().sum()
        assert best <= found[row] <= best * 1.001


def test_scales_and_codes_in_turn_lower_the_output_error() -> None:
    weight, inputs = random_weight(24, 96), random_inputs(400, 96, rank=60)
    statistics = statistics_of(inputs)
    for scheme in (UniformFormat(2, 32), BcqFormat(2, 32), CodebookFormat(2, 0)):
        errors = [
            output_error(
                weight, decode(scheme, Pipeline.parse(method).quantize(weight, scheme, statistics).tensor), inputs
            )
            for method in ("gptq", "gptq+refit")
        ]
        assert errors[1] < 0.8 * errors[0]


def test_zero_weights_stay_zero() -> None:
    statistics, fmt = statistics_of(random_inputs(90, 64)), UniformFormat(2, 32)
    tensor = round_groups(torch.zeros(4, 64), fmt, None, GridOptions())
    assert not decode(fmt, refit.refine(tensor, fmt, torch.zeros(4, 64), statistics)).any()


def test_calibration_is_asked_for() -> None:
    fmt = UniformFormat(2, 32)
    with pytest.raises(EdgeqError, match="needs calibration"):
        refit.refine(round_groups(random_weight(2, 32), fmt, None, GridOptions()), fmt, random_weight(2, 32), None)
