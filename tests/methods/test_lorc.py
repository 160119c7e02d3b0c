# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from edgeq.errors import EdgeqError
from edgeq.formats import UniformFormat
from edgeq.methods import lorc
from edgeq.methods.pipeline import Pipeline
from tests.methods.layers import decode, output_error, random_inputs, random_weight, statistics_of


def _cost(error: torch.Tensor, product: torch.Tensor, metric: torch.Tensor | None) -> float:
    rest = error - product
    weighted = rest if metric is None else rest @ metric
    return float((weighted * rest).sum())


@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
def test_full_rank_leaves_nothing(shape: tuple[int, int]) -> None:
    error = random_weight(*shape).double()
    metric = statistics_of(random_inputs(100, shape[1])).gram
    for choice in (None, metric.diagonal(), metric):
        a, b = lorc.factorize(error, choice, min(shape))
        torch.testing.assert_close(b @ a, error, rtol=0, atol=1e-9)


@pytest.mark.parametrize("rank", [1, 4])
def test_plain_factors_are_the_truncated_singular_value_decomposition(rank: int) -> None:
    error = random_weight(24, 40).double()
    values = torch.linalg.svdvals(error)
    a, b = lorc.factorize(error, None, rank)
    assert _cost(error, b @ a, None) == pytest.approx(float(values[rank:].square().sum()), rel=1e-6)
    torch.testing.assert_close(a.norm(dim=1), b.norm(dim=0))


@pytest.mark.parametrize("rank", [1, 5])
def test_weighted_factors_are_the_best_of_their_rank(rank: int) -> None:
    """With M = LLᵀ the optimum is the truncated singular value decomposition of E L."""
    error, gram = random_weight(24, 40).double(), statistics_of(random_inputs(300, 40)).gram
    a, b = lorc.factorize(error, gram, rank)
    cost = _cost(error, b @ a, gram)
    values = torch.linalg.svdvals(error @ torch.linalg.cholesky(gram))
    assert cost == pytest.approx(float(values[rank:].square().sum()), rel=1e-6)
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        moved = [part + 1e-2 * torch.randn(part.shape, generator=generator, dtype=part.dtype) for part in (a, b)]
        assert _cost(error, moved[1] @ moved[0], gram) > cost


def test_wide_layers_come_near_the_optimum() -> None:
    """More rows than directions iterated, and a flat spectrum: the hardest case for the iteration."""
    error = random_weight(160, 200).double()
    a, b = lorc.factorize(error, None, 8)
    best = float(torch.linalg.svdvals(error)[8:].square().sum())
    assert best <= _cost(error, b @ a, None) <= 1.005 * best


def test_low_rank_inputs_need_no_more_than_their_rank() -> None:
    error, gram = random_weight(20, 48).double(), statistics_of(random_inputs(200, 48, rank=6)).gram
    a, b = lorc.factorize(error, gram, 6)
    assert abs(_cost(error, b @ a, gram)) < 1e-6 * _cost(error, torch.zeros_like(error), gram)


def test_each_weighting_serves_its_measure() -> None:
    weight, inputs, fmt = random_weight(40, 64), random_inputs(300, 64), UniformFormat(2, 32)
    statistics = statistics_of(inputs)
    errors, costs = {}, {}
    for weighting in ("none", "magnitudes", "gram"):
        pipeline = Pipeline.parse("rtn+lorc", {"lorc.rank": 4, "lorc.weighting": weighting})
        result = pipeline.quantize(weight, fmt, statistics)
        corrected = decode(fmt, result.tensor) + result.corrections[0].dense()
        errors[weighting] = output_error(weight, corrected, inputs)
        costs[weighting] = float((weight - corrected).square().sum())
    assert (
        errors["gram"]
        < errors["magnitudes"]
        < errors["none"]
        < output_error(weight, decode(fmt, result.tensor), inputs)
    )
    assert costs["none"] < min(costs["gram"], costs["magnitudes"])


def test_no_error_needs_no_correction() -> None:
    weight = random_weight(8, 32)
    assert not lorc.correct(weight, weight, None, lorc.Options(weighting="none")).dense().any()


def test_what_is_missing_is_asked_for() -> None:
    weight = random_weight(8, 32)
    with pytest.raises(EdgeqError, match="needs calibration"):
        lorc.correct(weight, 0 * weight, None)
    with pytest.raises(EdgeqError, match=r"lorc.rank: wrong rank, found 0"):
        lorc.correct(weight, 0 * weight, None, lorc.Options(rank=0))
