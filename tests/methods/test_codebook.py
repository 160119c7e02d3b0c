# SPDX-License-Identifier: Apache-2.0
"""Weighted k-means: against the optimum by dynamic programming, and through the stored table."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import CodebookFormat, UniformFormat
from edgeq.methods import codebook, gptq, rtn
from edgeq.methods.grids.kmeans import k_means
from edgeq.methods.grids.sorted_rows import SortedRows
from tests.methods.layers import decode, output_error, random_inputs, random_weight, statistics_of


def _optimum(row: Tensor, shares: Tensor, count: int) -> float:
    """Least weighted squared error of ``count`` levels: clusters of sorted weights are runs (dynamic programming)."""
    order = row.double().argsort()
    w, f = row.double()[order], shares.double()[order]
    size = len(row)
    cost = torch.full((size + 1, size + 1), torch.inf, dtype=torch.float64)
    for start, end in itertools.combinations(range(size + 1), 2):
        run, share = w[start:end], f[start:end]
        cost[start, end] = (share * (run - (share * run).sum() / share.sum()).square()).sum()
    best = cost[0].clone()
    for _ in range(count - 1):
        best = torch.minimum(best, (best.unsqueeze(1) + cost).amin(0))
    return float(best[size])


@pytest.mark.parametrize(("columns", "count"), [(24, 1), (24, 2), (24, 4), (24, 8), (64, 4)])
def test_k_means_finds_the_optimum(columns: int, count: int) -> None:
    """Exactly in short rows, nearly in those where weights share bins."""
    weight = random_weight(8, columns)
    shares = torch.rand(8, columns, generator=torch.Generator().manual_seed(2), dtype=torch.float64) + 0.05
    shares /= shares.mean(1, keepdim=True)
    rows = SortedRows(weight, shares)
    found = rows.error(k_means(rows, count, 50))
    best = torch.tensor(
        [_optimum(row, share, count) for row, share in zip(weight, shares, strict=True)], dtype=torch.float64
    )
    assert (found >= best * (1 - 1e-9)).all()
    assert (found <= best * (1 + 1e-9 if columns == 24 else 1.05)).all()


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 16), st.integers(1, 40))
def test_no_round_raises_the_error(seed: int, count: int, columns: int) -> None:
    rows = SortedRows(random_weight(4, columns, seed))
    errors = [rows.error(k_means(rows, count, rounds)) for rounds in range(6)]
    assert all((after <= before * (1 + 1e-9) + 1e-12).all() for before, after in itertools.pairwise(errors))


def test_centroids_are_means_of_what_is_nearest() -> None:
    rows = SortedRows(random_weight(6, 300))
    centroids = k_means(rows, 8, 500)
    mass, moment = rows.partition(centroids)
    torch.testing.assert_close(moment / mass, centroids)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("group_size", [0, 32])
def test_codes_are_the_nearest_stored_levels(bits: int, group_size: int) -> None:
    fmt, weight = CodebookFormat(bits, group_size), random_weight(12, 72)
    tensor = codebook.quantize(weight, fmt)
    levels = torch.as_tensor(tensor.levels).float() * torch.as_tensor(tensor.scales).float().unsqueeze(2)  # type: ignore[union-attr]
    distance = (weight.unsqueeze(2) - levels.repeat_interleave(group_size or 72, 1)[:, :72]).abs()
    assert ((weight - decode(fmt, tensor)).abs() <= distance.amin(2) + 1e-6).all()


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_free_levels_beat_uniform_ones(bits: int) -> None:
    weight = random_weight(32, 256)
    error = (decode(fmt := CodebookFormat(bits), codebook.quantize(weight, fmt)) - weight).square().sum()
    uniform = UniformFormat(bits, 0, symmetric=False)
    assert error < 0.85 * (decode(uniform, rtn.quantize(weight, uniform, clip="mse")) - weight).square().sum()


def test_few_values_are_kept_to_the_precision_of_the_table() -> None:
    weight = torch.tensor([[-1.0, 0.25, 0.5, 1.0] * 8, [0.0] * 32, [2.0] * 31 + [-7.0]])
    found = decode(fmt := CodebookFormat(2), codebook.quantize(weight, fmt))
    assert ((found - weight).abs().amax(1) <= weight.abs().amax(1) / 127).all()


def test_sensitivities_draw_the_levels() -> None:
    """Fisher information of single weights, or mean squares of the inputs, keep the errors low where they are high."""
    weight, statistics = random_weight(16, 128), statistics_of(random_inputs(300, 128))
    fisher = torch.rand(16, 128, generator=torch.Generator().manual_seed(4)) ** 4
    fmt = CodebookFormat(3)
    plain = (decode(fmt, codebook.quantize(weight, fmt)) - weight).square()
    by_inputs = (decode(fmt, codebook.quantize(weight, fmt, statistics)) - weight).square()
    informed = dataclasses.replace(statistics, fisher=fisher)
    options = codebook.Options(importance="fisher")
    by_fisher = (decode(fmt, codebook.quantize(weight, fmt, informed, options)) - weight).square()
    assert (by_inputs * statistics.diagonal).sum() < (plain * statistics.diagonal).sum()
    assert (by_fisher * fisher).sum() < 0.85 * (plain * fisher).sum()


def test_the_sweep_lowers_the_output_error() -> None:
    weight, inputs, fmt = random_weight(48, 96), random_inputs(400, 96, rank=60), CodebookFormat(2, 32)
    statistics = statistics_of(inputs)
    alone = output_error(weight, decode(fmt, codebook.quantize(weight, fmt, statistics)), inputs)
    assert output_error(weight, decode(fmt, gptq.quantize(weight, fmt, statistics)), inputs) < 0.8 * alone


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(EdgeqError, match="wanted a -codebook scheme"):
        codebook.quantize(random_weight(2, 32), UniformFormat(4))
    statistics = statistics_of(random_inputs(9, 32))
    with pytest.raises(EdgeqError, match="no Fisher information"):
        codebook.quantize(random_weight(2, 32), CodebookFormat(2), statistics, codebook.Options(importance="fisher"))
