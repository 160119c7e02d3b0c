# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.formats import UniformFormat
from edgeq.quantization.activations import fake_quantize, static_scale
from edgeq.quantization.linear import PackedWeight, QuantLinear
from edgeq.schemes import ActivationMode


def blocks(columns: int, group_size: int) -> list[slice]:
    """Activation blocks as docs/formats.md says."""
    group = group_size or columns
    starts = [(start, min(start + group, columns)) for start in range(0, columns, group)]
    return [slice(k, min(k + 128, end)) for start, end in starts for k in range(start, end, 128)]


@given(st.integers(1, 600), st.sampled_from((0, 32, 96, 128, 160, 256)), st.integers(0, 2**32 - 1))
def test_blocks_of_a_token_share_a_scale(columns: int, group_size: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_t(3, (2, columns)).astype(np.float32)
    expected = np.empty_like(x)
    for row, wanted in zip(x, expected, strict=True):
        for block in blocks(columns, group_size):
            scale = np.abs(row[block]).max() / np.float32(127)
            wanted[block] = np.rint(row[block] / scale) * scale
    np.testing.assert_array_equal(fake_quantize(torch.from_numpy(x), "block", group_size).numpy(), expected)


@given(st.integers(1, 300), st.floats(-4, 4), st.integers(0, 2**32 - 1))
def test_a_token_has_255_codes_from_its_least_to_its_largest(columns: int, shift: float, seed: int) -> None:
    x = torch.from_numpy(np.random.default_rng(seed).normal(shift, 1, (3, columns)).astype(np.float32))
    quantized = fake_quantize(x, "token-asym", 0)
    step = (x.amax(1).clamp(min=0) - x.amin(1).clamp(max=0)) / 254
    # Half a step, and up to half a step more where the zero point was rounded away from the end of the range.
    assert ((quantized - x).abs() <= 1.001 * step[:, None]).all()
    assert fake_quantize(x * 0, "token-asym", 0).abs().sum() == 0
    codes = quantized / step[:, None]
    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-3)
    assert (codes.amax(1) - codes.amin(1) <= 254.01).all()


def test_one_sided_activations_get_finer_steps() -> None:
    x = torch.rand(4, 200, generator=torch.Generator().manual_seed(0))
    errors = [(fake_quantize(x, mode, 0) - x).square().mean() for mode in ("token", "token-asym")]
    assert errors[1] < 0.3 * errors[0]


def test_static_scales_cut_off() -> None:
    x = torch.tensor([[0.26, -0.74, 500.0, -1e30]])
    assert fake_quantize(x, "static", 0, 0.5).tolist() == [[0.5, -0.5, 63.5, -63.5]]
    assert static_scale(torch.tensor([1.0, 254.0])) == 2.0
    with pytest.raises(EdgeqError, match="no scale"):
        fake_quantize(x, "static", 0)


@pytest.mark.parametrize("mode", ["block", "token", "token-asym", "static"])
@pytest.mark.parametrize("spoiler", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spoils_its_own_token_only(mode: ActivationMode, spoiler: float) -> None:
    x = torch.ones(2, 256)
    x[0, 3] = spoiler
    quantized = fake_quantize(x, mode, 0, 0.1)
    assert quantized[0].isnan().any()
    assert quantized[1].isfinite().all()


@pytest.mark.parametrize(("bits", "applied"), [(8, True), (32, False), (None, False)])
def test_eager_layers_quantize_what_the_scheme_says(bits: int | None, applied: bool) -> None:
    fmt = UniformFormat(8)
    rng = np.random.default_rng(0)
    data = rng.integers(0, 30, fmt.packed_size(8, 64), dtype=np.uint8)
    weight = PackedWeight(torch.from_numpy(data), fmt, 8, 64)
    x = torch.from_numpy(rng.normal(size=(3, 64)).astype(np.float32))
    seen = fake_quantize(x, "token", 0) if applied else x
    y = QuantLinear(weight, bits, activation_mode="token" if bits == 8 else "block")(x)
    torch.testing.assert_close(y, seen @ weight.dequantize().T)


def test_a_static_scheme_needs_a_scale() -> None:
    fmt = UniformFormat(4)
    weight = PackedWeight(torch.zeros(fmt.packed_size(8, 64), dtype=torch.uint8), fmt, 8, 64)
    for scale in (None, 0.0, float("nan")):
        with pytest.raises(EdgeqError, match=r"no scale for static activation quantization.*--calibration"):
            QuantLinear(weight, 8, activation_mode="static", activation_scale=scale)
