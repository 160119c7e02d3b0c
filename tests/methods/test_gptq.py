# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgeq.calibration.statistics import LayerStatistics, StatisticsAccumulator
from edgeq.errors import EdgeqError
from edgeq.formats import Format, UniformFormat
from edgeq.methods import gptq, rtn
from edgeq.methods.grids import GridOptions
from edgeq.methods.pipeline import output_errors

MINMAX = GridOptions("minmax")
CHANNEL = UniformFormat(3, 0, symmetric=False)


def observed(columns: int, tokens: int = 256, rank: int | None = None, seed: int = 0) -> LayerStatistics:
    """Correlated inputs."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(rank or columns, columns, generator=generator)
    sums = StatisticsAccumulator(columns)
    sums.add(torch.randn(tokens, rank or columns, generator=generator) @ mixing)
    return sums.result()


def weights(rows: int, columns: int, seed: int = 1) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def decode(fmt: Format, tensor: object) -> np.ndarray:
    return fmt.decode(tensor)  # type: ignore[arg-type]


def loss(fmt: Format, tensor: object, weight: Tensor, statistics: LayerStatistics) -> float:
    return float(output_errors(tensor, fmt, weight, statistics).sum())  # type: ignore[arg-type]


@pytest.mark.parametrize("fmt", [CHANNEL, UniformFormat(2, 32), UniformFormat(4, 64, symmetric=False)], ids=str)
@pytest.mark.parametrize("static", [True, False])
def test_independent_inputs_leave_nothing_to_compensate(fmt: UniformFormat, static: bool) -> None:
    weight = weights(20, 160)
    diagonal = torch.rand(160, generator=torch.Generator().manual_seed(2)).double() + 0.1
    statistics = LayerStatistics(torch.diag(diagonal), 100, torch.ones(160), torch.ones(160))
    found = gptq.quantize(weight, fmt, statistics, gptq.Options(grid=MINMAX, static_groups=static))
    np.testing.assert_array_equal(decode(fmt, found), decode(fmt, rtn.quantize(weight, fmt, clip="minmax")))


OPTIONS = {
    "group": st.sampled_from([0, 32, 96, 128]),
    "act_order": st.booleans(),
    "seed": st.integers(0, 100),
}


@given(rows=st.integers(8, 16), columns=st.integers(24, 150), **OPTIONS)
def test_outputs_change_less_than_by_rounding(rows: int, columns: int, group: int, act_order: bool, seed: int) -> None:
    """Compensation is greedy and codes end at the range: some weights may lose by it, rows of many do not."""
    fmt, weight, statistics = UniformFormat(3, group), weights(rows, columns, seed), observed(columns, seed=seed)
    found = gptq.quantize(weight, fmt, statistics, gptq.Options(grid=MINMAX, act_order=act_order))
    rounded = rtn.quantize(weight, fmt, clip="minmax")
    assert loss(fmt, found, weight, statistics) < loss(fmt, rounded, weight, statistics)


@given(rows=st.integers(1, 8), columns=st.integers(2, 150), **OPTIONS)
def test_any_shape_is_kept(rows: int, columns: int, group: int, act_order: bool, seed: int) -> None:
    fmt, weight = UniformFormat(3, group), weights(rows, columns, seed)
    options = gptq.Options(grid=MINMAX, act_order=act_order)
    found = decode(fmt, gptq.quantize(weight, fmt, observed(columns, seed=seed), options))
    assert found.shape == weight.shape
    assert np.isfinite(found).all()


@pytest.mark.parametrize("group", [0, 32, 64])
@pytest.mark.parametrize("act_order", [True, False])
def test_correlated_inputs_gain_much(group: int, act_order: bool) -> None:
    fmt, weight, statistics = UniformFormat(3, group), weights(64, 256), observed(256, tokens=1024, rank=64)
    found = gptq.quantize(weight, fmt, statistics, gptq.Options(grid=MINMAX, act_order=act_order))
    rounded = rtn.quantize(weight, fmt, clip="minmax")
    assert loss(fmt, found, weight, statistics) < 0.3 * loss(fmt, rounded, weight, statistics)


def test_tiny_problems_come_near_the_best_codes() -> None:
    """Brute force over all codes of the same grid is the bound; on the whole, compensation closes half of the gap."""
    columns, fmt = 4, UniformFormat(2, 0, symmetric=False)
    bounds, losses, rounded = [], [], []
    for seed in range(60):
        weight, statistics = weights(1, columns, seed), observed(columns, seed=seed)
        tensor = gptq.quantize(weight, fmt, statistics, gptq.Options(grid=MINMAX, damping=1e-6, act_order=True))
        codes = torch.tensor(list(itertools.product(range(4), repeat=columns)))
        scale, zero = float(tensor.scales[0, 0]), int(tensor.zero_points[0, 0])  # type: ignore[union-attr, index]
        differences = (codes - zero).double() * scale - weight
        bounds.append(float(((differences @ statistics.gram) * differences).sum(1).min()))
        losses.append(loss(fmt, tensor, weight, statistics))
        rounded.append(loss(fmt, rtn.quantize(weight, fmt, clip="minmax"), weight, statistics))
        assert bounds[-1] * (1 - 1e-5) <= losses[-1]
    assert sum(losses) - sum(bounds) < 0.5 * (sum(rounded) - sum(bounds))


def test_the_last_column_alone_is_exact() -> None:
    """With one column left to round, the sweep's choice is the best one: brute force over its code."""
    fmt, weight, statistics = CHANNEL, weights(6, 40), observed(40)
    tensor = gptq.quantize(weight, fmt, statistics, gptq.Options(grid=MINMAX, damping=1e-9))
    found = output_errors(tensor, fmt, weight, statistics)
    for code in range(8):
        codes = tensor.codes.copy()
        codes[:, -1] = code
        other = output_errors(type(tensor)(codes, tensor.scales, tensor.zero_points), fmt, weight, statistics)  # type: ignore[union-attr, call-arg, arg-type]
        assert (found <= other * (1 + 1e-4)).all()


@pytest.mark.parametrize("act_order", [True, False])
def test_one_group_is_the_whole_channel(act_order: bool) -> None:
    weight, statistics = weights(8, 128), observed(128)
    options = gptq.Options(grid=GridOptions("mse"), act_order=act_order)
    group = gptq.quantize(weight, UniformFormat(3, 128), statistics, options)
    np.testing.assert_array_equal(
        decode(UniformFormat(3, 128), group),
        decode(UniformFormat(3), gptq.quantize(weight, UniformFormat(3), statistics, options)),
    )


@pytest.mark.parametrize("fmt", [CHANNEL, UniformFormat(3, 32)], ids=str)
def test_blocks_and_threads_change_nothing_but_rounding_errors(
    fmt: UniformFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, statistics = weights(50, 200).double().float(), observed(200, tokens=1000)
    whole = gptq.quantize(weight, fmt, statistics, gptq.Options(block_size=1000))
    blocks = gptq.quantize(weight, fmt, statistics, gptq.Options(block_size=32))
    assert np.mean(whole.codes != blocks.codes) < 0.01
    monkeypatch.setattr(gptq, "ROWS", 7)
    rows = gptq.quantize(weight, fmt, statistics, gptq.Options(block_size=1000))
    assert np.mean(whole.codes != rows.codes) < 0.01


def test_factor_is_that_of_the_inverse() -> None:
    statistics = observed(50)
    factor = gptq.factorize(statistics.gram, damping=0.01, act_order=True)
    damped = statistics.gram + 0.01 * statistics.diagonal.mean() * torch.eye(50, dtype=torch.float64)
    inverse = torch.linalg.inv(damped[factor.order][:, factor.order])
    upper = factor.upper.double()
    torch.testing.assert_close(upper.T @ upper, inverse, rtol=1e-4, atol=1e-8)
    assert not upper.tril(-1).any()
    assert (statistics.diagonal[factor.order].diff() <= 0).all()


def test_dead_inputs_get_no_weight() -> None:
    statistics = observed(40)
    for index in (0, 17, 39):
        statistics.gram[index] = statistics.gram[:, index] = 0
    fmt = UniformFormat(4)
    decoded = decode(fmt, gptq.quantize(weights(5, 40), fmt, statistics))
    assert not decoded[:, [0, 17, 39]].any()
    assert decoded[:, 1].any()


def test_damping_rises_until_the_factorisation_holds(caplog: pytest.LogCaptureFixture) -> None:
    gram = observed(20).gram
    gram[0, 1] = gram[1, 0] = 1.01 * math.sqrt(gram[0, 0] * gram[1, 1])  # no Gram matrix any more
    with caplog.at_level(logging.WARNING, "edgeq"):
        factor = gptq.factorize(gram, damping=1e-4)
    assert torch.isfinite(factor.upper).all()
    assert "not positive definite with damping 0.0001; raising it tenfold" in caplog.text


def test_statistics_that_are_not_finite_are_refused() -> None:
    with pytest.raises(EdgeqError, match="XᵀX cannot be factorised"):
        gptq.factorize(torch.full((4, 4), torch.nan, dtype=torch.float64))


def test_it_needs_calibration() -> None:
    with pytest.raises(EdgeqError, match="GPTQ needs calibration"):
        gptq.quantize(weights(2, 32), CHANNEL, None)
