# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeq.calibration import statistics as module
from edgeq.calibration.statistics import StatisticsAccumulator


@given(columns=st.integers(1, 70), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_sums_over_batches_equal_float64(columns: int, sizes: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    batches = [torch.randn(size, 2, columns, generator=generator) for size in sizes]
    sums = StatisticsAccumulator(columns)
    for batch in batches:
        sums.add(batch)
    found, direct = sums.result(), torch.cat(batches).reshape(-1, columns).double()
    assert found.tokens == len(direct)
    torch.testing.assert_close(found.gram, direct.T @ direct, rtol=1e-5, atol=1e-4)
    assert torch.equal(found.gram, found.gram.T)
    torch.testing.assert_close(found.diagonal, direct.square().sum(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.mean_abs, direct.abs().mean(0).float())
    assert torch.equal(found.absmax, direct.abs().amax(0).float())


def test_many_chunks_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A float32 sum over so many tokens would be off by 1e-5; each chunk is off by 1e-7 of itself."""
    monkeypatch.setattr(module, "CHUNK", 64)
    inputs = torch.rand(200_000, 3, generator=torch.Generator().manual_seed(0)) + 1
    sums = StatisticsAccumulator(3)
    sums.add(inputs)
    direct = inputs.double().T @ inputs.double()
    torch.testing.assert_close(sums.result().gram, direct, rtol=1e-6, atol=0)
