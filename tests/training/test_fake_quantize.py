# SPDX-License-Identifier: Apache-2.0
"""Gradients of the fake quantizer against their formulas; what it computes against the format."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edgeq.training.fake_quantize import fake_quantize, to_float16
from edgeq.training.gradients import slope, soft_clamp, soft_clamp_slope, staircase_slope


def sample(rows: int = 6, size: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    random = np.random.default_rng(0)
    weights = torch.from_numpy(random.normal(size=(rows, size))).float().requires_grad_()
    scale = torch.from_numpy(random.uniform(0.2, 0.5, (rows, 1)) * random.choice([-1, 1], (rows, 1))).half().float()
    zero = torch.from_numpy(random.integers(2, 6, (rows, 1))).float()
    return weights, scale.requires_grad_(), zero


def test_lsq_gradients() -> None:
    """Of a scale: level − w/s inside, the bound outside, times 1/√(g·q_max); of a weight: 1 inside, 0 outside."""
    weights, scale, zero = sample()
    upstream = torch.randn(weights.shape, generator=torch.Generator().manual_seed(0))
    fake_quantize(weights, scale, zero, 7).backward(upstream)
    w, s, z, g = (value.detach().double().numpy() for value in (weights, scale, zero, upstream))
    inside = (w / s + z >= 0) & (w / s + z <= 7)
    assert 0 < inside.mean() < 1
    level = np.clip(np.round(w / s) + z, 0, 7) - z
    expected = (np.where(inside, level - w / s, level) * g).sum(1, keepdims=True) / np.sqrt(32 * 3)
    assert scale.grad is not None
    assert scale.grad.numpy() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert weights.grad is not None
    assert np.array_equal(weights.grad.numpy(), np.where(inside, upstream.numpy(), 0))


@pytest.mark.parametrize("sharpness", [1.0, 4.0, 20.0])
def test_soft_clamp_slope_is_the_derivative_of_soft_clamp(sharpness: float) -> None:
    x = torch.linspace(-3, 10, 400, dtype=torch.float64, requires_grad=True)
    soft_clamp(x, 0.0, 7.0, sharpness).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(soft_clamp_slope(x.detach(), 0.0, 7.0, sharpness), x.grad)


def test_a_sharp_soft_clamp_is_a_clamp() -> None:
    x = torch.linspace(-3, 10, 400, dtype=torch.float64)
    torch.testing.assert_close(soft_clamp(x, 0.0, 7.0, 500.0), x.clamp(0, 7), atol=2e-3, rtol=0)


@pytest.mark.parametrize("sharpness", [0.5, 4.0, 30.0])
def test_a_step_of_the_staircase_rises_by_one(sharpness: float) -> None:
    x = torch.linspace(2, 3, 20001, dtype=torch.float64)[:-1]
    assert float(staircase_slope(x, sharpness).mean()) == pytest.approx(1, abs=1e-3)


def test_soft_slopes_reach_beyond_the_range_and_follow_the_steps() -> None:
    position = torch.tensor([-0.2, 3.0, 3.5, 7.2, 12.0])
    assert slope(position, 7, "ste").tolist() == [0, 1, 1, 0, 0]
    soft, stairs = slope(position, 7, "soft-clamp"), slope(position, 7, "sigmoid")
    assert 0.1 < float(soft[0]) < 0.9
    assert float(soft[1]) == pytest.approx(1, abs=1e-3)
    assert abs(float(soft[4])) < 1e-3
    assert float(stairs[2]) > 1.2 > 0.6 > float(stairs[1]) > 0.5  # steep between two levels, flat on one


@pytest.mark.parametrize("gradient", ["ste", "soft-clamp", "sigmoid"])
def test_all_slopes_have_the_same_values_forwards(gradient: str) -> None:
    weights, scale, zero = sample()
    plain = fake_quantize(weights, scale, zero, 7)
    assert torch.equal(fake_quantize(weights, scale, zero, 7, gradient), plain)  # type: ignore[arg-type]
    steps = (weights / scale).round() + zero
    torch.testing.assert_close(plain, (steps.clamp(0, 7) - zero) * scale)


def test_a_scale_of_zero_makes_zeros() -> None:
    weights, _, zero = sample()
    values = fake_quantize(weights, torch.zeros(6, 1), zero, 7)
    assert torch.equal(values, torch.zeros_like(values))


def test_scales_become_float16_and_keep_their_gradient() -> None:
    scale = torch.tensor([[0.1], [-1e-9], [1e9], [0.0]], requires_grad=True)
    stored = to_float16(scale)
    stored.sum().backward()
    assert stored[0] == torch.tensor([0.1]).half().float()
    assert stored[1] < 0  # not lost
    assert torch.isfinite(stored).all()
    assert stored[3] == 0
    assert scale.grad is not None
    assert torch.equal(scale.grad, torch.ones_like(scale))
