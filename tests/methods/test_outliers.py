# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import pytest
import torch

from edgeq.errors import EdgeqError
from edgeq.formats import CodebookFormat
from edgeq.methods import outliers
from edgeq.methods.pipeline import Pipeline
from tests.methods.layers import decode, random_inputs, random_weight, statistics_of


def test_both_parts_add_up_to_the_weight() -> None:
    weight = random_weight(30, 100)
    dense, sparse = outliers.split(weight, statistics_of(random_inputs(50, 100)))
    kept = sparse.dense()
    assert len(sparse.values) == round(0.004 * 3000) + round(0.0005 * 3000)
    torch.testing.assert_close(dense + kept, weight, rtol=1e-3, atol=0)
    assert not (dense * kept).any()


def test_the_farthest_weights_are_taken() -> None:
    weight = random_weight(30, 100)
    planted = [(3, 7), (29, 99), (0, 0)]
    for row, column in planted:
        weight[row, column] = 40.0 + row
    _, sparse = outliers.split(weight, None, outliers.Options(far=0.001))
    assert sorted((row, column) for row, column in sparse.dense().nonzero().tolist()) == sorted(planted)


def test_the_most_sensitive_weights_are_taken() -> None:
    weight, statistics = random_weight(20, 50), statistics_of(random_inputs(90, 50))
    options = outliers.Options(far=0.0, sensitive=0.002)
    _, by_inputs = outliers.split(weight, statistics, options)
    expected = (weight.square() * statistics.diagonal).flatten().topk(2).indices
    assert set(by_inputs.dense().flatten().nonzero().flatten().tolist()) == set(expected.tolist())
    fisher = torch.zeros(20, 50)
    fisher[4, 5] = fisher[6, 7] = 1.0
    _, by_fisher = outliers.split(weight, dataclasses.replace(statistics, fisher=fisher), options)
    assert by_fisher.dense().nonzero().tolist() == [[4, 5], [6, 7]]


def test_grids_are_finer_without_outliers() -> None:
    weight, fmt = random_weight(16, 128), CodebookFormat(3)
    weight[:, 5] *= 30
    errors = []
    for method, options in (("codebook", {}), ("outliers+codebook", {"outliers.far": 0.01})):
        result = Pipeline.parse(method, options).quantize(weight, fmt, None)
        whole = decode(fmt, result.tensor) + sum(part.dense() for part in result.corrections)
        errors.append(float((whole - weight).square().sum()))
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(EdgeqError, match=r"outliers\.far: share out of range"):
        outliers.split(random_weight(3, 4), None, outliers.Options(far=share))
