# SPDX-License-Identifier: Apache-2.0
"""γ: its definition, its optima for a Gaussian, and its search by the error of the outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from edgeq.calibration.statistics import LayerStatistics
from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, CodebookFormat, DintFormat, UniformFormat, UniformTensor
from edgeq.methods import rtn
from edgeq.methods.gamma import steps_at_one
from edgeq.methods.grids import GridOptions, fit_grid
from edgeq.methods.grids.uniform import UniformGrid
from edgeq.methods.pipeline import Pipeline, output_errors


def gaussian(count: int = 20_000) -> Tensor:
    """The quantiles of a standard normal variable."""
    return torch.from_numpy(norm.ppf((np.arange(count) + 0.5) / count)).float().reshape(1, -1)


def optimum(bits: int, *, narrow: bool = False, shift: float = 0.0) -> tuple[float, float]:
    """Step and squared error of the best grid for a Gaussian; ``narrow`` leaves the lowest code out.

    With ``shift`` 1/2 the levels lie half a step beside zero.
    """
    values = gaussian()
    zero = torch.full((1, 1), float(2 ** (bits - 1) - narrow))
    top = 2**bits - 1 - narrow

    def error(step: float) -> float:
        moved = values - shift * step
        return float((UniformGrid.of(torch.full((1, 1), step), zero, top).nearest(moved) - moved).square().mean())

    steps = np.linspace(0.8, 1.2, 81) * {2: 1.1, 3: 0.61, 4: 0.34, 8: 0.031}[bits]
    errors = [error(step) for step in steps]
    best = int(np.argmin(errors))
    return float(steps[best]), errors[best]


@pytest.mark.parametrize(
    ("bits", "narrow", "shift", "step", "error"),
    [
        (2, True, 0, 1.224, 0.1902), (3, True, 0, 0.650, 0.0469), (4, True, 0, 0.353, 0.0129),
        (2, False, 0, 1.049, 0.1494), (3, False, 0, 0.602, 0.0406), (4, False, 0, 0.338, 0.0119),
        (2, False, 0.5, 0.9955, 0.1189), (3, False, 0.5, 0.586, 0.0374), (4, False, 0.5, 0.335, 0.0115),
    ],
)  # fmt: skip
def test_steps_and_errors_of_a_gaussian(bits: int, narrow: bool, shift: float, step: float, error: float) -> None:
    found, least = optimum(bits, narrow=narrow, shift=shift)
    assert found == pytest.approx(step, rel=0.02)
    assert least == pytest.approx(error, rel=0.01)


def test_error_of_a_gaussian_at_8_bits() -> None:
    assert optimum(8)[0] == pytest.approx(0.031, rel=0.05)
    assert optimum(8)[1] == pytest.approx(9e-5, rel=0.2)


@pytest.mark.parametrize(("bits", "step", "error"), [(2, 1.049, 0.1494), (3, 0.602, 0.0406), (4, 0.338, 0.0119)])
def test_search_finds_the_step_of_a_gaussian(bits: int, step: float, error: float) -> None:
    fmt = UniformFormat(bits)
    weights = gaussian(4096)
    tensor = rtn.quantize(weights, fmt, None, rtn.Options(GridOptions(gamma="auto")))
    assert isinstance(tensor, UniformTensor)
    coarseness = 0.02 * float(steps_at_one(weights, fmt))  # neighbours in the grid of γ
    assert abs(float(tensor.scales[0, 0])) == pytest.approx(step, abs=coarseness)
    assert float((torch.from_numpy(fmt.decode(tensor)) - weights).square().mean()) == pytest.approx(error, rel=0.05)


@pytest.mark.parametrize("fmt", [UniformFormat(4), UniformFormat(3, 32), UniformFormat(2, 32, symmetric=False)])
@pytest.mark.parametrize("gamma", [0.7, 1.0])
def test_definition(fmt: UniformFormat, gamma: float) -> None:
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 64))).float()
    tensor = rtn.quantize(weights, fmt, None, rtn.Options(GridOptions(gamma=gamma)))
    assert isinstance(tensor, UniformTensor)
    groups = weights.reshape(5, -1, fmt.group_size or 64)
    whole = groups.abs().amax(2) / (2 ** (fmt.bits - 1) - 1)
    if not fmt.symmetric:
        whole = (groups.amax(2) - groups.amin(2)) / (2**fmt.bits - 1)
    assert np.abs(tensor.scales.astype(np.float32)) == pytest.approx(gamma * whole.numpy(), rel=1e-3)
    assert torch.equal(steps_at_one(weights, fmt), whole)


def test_definition_in_dint() -> None:
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 64))).float()
    tensor = rtn.quantize(weights, DintFormat(4), None, rtn.Options(GridOptions(gamma=0.8)))
    assert np.abs(tensor.scales[:, 0].astype(np.float32)) == pytest.approx(
        0.8 / 7 * weights.abs().amax(1).numpy(), rel=1e-3
    )


def test_gamma_is_beta_under_another_name() -> None:
    """Symmetric codes reach one level further than ±(2^(b−1) − 1), so that γ = β·7/8 at 4 bits."""
    weights = torch.from_numpy(np.random.default_rng(1).normal(size=(8, 96))).float()
    for fmt, ratio in ((UniformFormat(4), 7 / 8), (UniformFormat(3), 3 / 4), (UniformFormat(4, symmetric=False), 1.0)):
        by_beta = fit_grid(fmt, weights, None, GridOptions("minmax", beta=0.8))
        by_gamma = fit_grid(fmt, weights, None, GridOptions(gamma=0.8 * ratio))
        assert torch.equal(by_beta.nearest(weights), by_gamma.nearest(weights))


def statistics_of(inputs: Tensor) -> LayerStatistics:
    gram = (inputs.T @ inputs).double()
    return LayerStatistics(gram, len(inputs), inputs.abs().amax(0), inputs.abs().mean(0))


def test_search_by_the_error_of_the_outputs() -> None:
    """Where inputs differ in size, the γ of least output error beats that of least weight error."""
    random = np.random.default_rng(2)
    weights = torch.from_numpy(random.standard_t(4, size=(16, 64))).float()
    statistics = statistics_of(torch.from_numpy(random.normal(size=(256, 64)) * np.exp(random.normal(size=64))).float())
    fmt = UniformFormat(3)
    blind = Pipeline.parse("rtn", {"rtn.gamma": "auto"}).quantize(weights, fmt, None).tensor
    error = {"blind": float(output_errors(blind, fmt, weights, statistics).sum())}
    for scope in ("tensor", "channel", "group"):
        seeing = Pipeline.parse("rtn", {"rtn.gamma": "auto", "rtn.gamma_scope": scope})
        assert not seeing.calibrated  # it takes calibration, and does without
        tensor = seeing.quantize(weights, fmt, statistics).tensor
        error[scope] = float(output_errors(tensor, fmt, weights, statistics).sum())
    # One scale per row: the group is the row.
    assert error["group"] == pytest.approx(error["channel"], rel=1e-4)
    assert error["channel"] <= error["tensor"]
    assert error["channel"] < error["blind"]


def test_one_gamma_for_the_tensor() -> None:
    weights = torch.from_numpy(np.random.default_rng(3).normal(size=(8, 64)) * np.arange(1, 9)[:, None]).float()
    fmt = UniformFormat(4, 32)
    tensor = rtn.quantize(weights, fmt, None, rtn.Options(GridOptions(gamma="auto"), "tensor"))
    assert isinstance(tensor, UniformTensor)
    gammas = np.abs(tensor.scales.astype(np.float32)) / steps_at_one(weights, fmt).numpy()
    assert gammas == pytest.approx(gammas[0, 0], rel=1e-3)


@pytest.mark.parametrize("fmt", [BcqFormat(2), CodebookFormat(3)])
def test_grids_without_equal_steps_have_no_gamma(fmt: BcqFormat | CodebookFormat) -> None:
    with pytest.raises(EdgeqError, match="no steps for γ"):
        fit_grid(fmt, torch.randn(4, 64, generator=torch.Generator().manual_seed(0)), None, GridOptions(gamma=0.8))


def test_wrong_options() -> None:
    with pytest.raises(EdgeqError, match="two multipliers"):
        Pipeline.parse("rtn", {"rtn.gamma": 0.8, "rtn.beta": 0.9})
    with pytest.raises(EdgeqError, match="out of range"):
        GridOptions(gamma=-0.5)
