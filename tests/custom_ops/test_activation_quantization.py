# SPDX-License-Identifier: Apache-2.0
"""DintGemm with activations quantized per token, with zero points, and by a scale from calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgeq.formats.codebook import CodebookFormat
from edgeq.formats.dint import DintFormat
from edgeq.formats.uniform import UniformFormat
from edgeq.quantization.activations import fake_quantize
from edgeq.quantization.operators import ROW_SUMS_INPUT, matmul_operator, row_sums
from edgeq.schemes import ActivationMode
from tests.custom_ops.graphs import (
    one_node_model,
    open_session,
    random_codebook,
    random_dint,
    random_uniform,
    relative_error,
)

TOLERANCE = 3e-6  # float32 rounding, relative to the magnitudes of the products and of what zero points add to them
SCALE = 0.03
MODES: tuple[ActivationMode, ...] = ("token", "token-asym", "static")
FORMATS: list[tuple[Any, Any]] = [
    (UniformFormat(4, 32), random_uniform),
    (UniformFormat(8, 0, symmetric=False), random_uniform),
    (DintFormat(4, 0, denominator=8), random_dint),
    (DintFormat(3, 64, symmetric=False, denominator=4), random_dint),
    (CodebookFormat(4, 160), random_codebook),
]


def activations(tokens: int, columns: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Of one sign mostly: what zero points are for."""
    x = np.random.default_rng(2).standard_normal((tokens, columns), np.float32)
    return np.asarray(0.7 * x + np.linspace(0, 3, tokens, dtype=np.float32)[:, None], np.float32)


def node(form: Any, tensor: Any, mode: ActivationMode, **changes: Any) -> bytes:
    """A DintGemm; inputs that are left out have empty names."""
    rows, columns = tensor.codes.shape
    packed = form.pack(tensor)
    operator, attributes = matmul_operator(form, rows, columns, 8, mode)
    constants: dict[str, Any] = {"W": packed}
    if mode == "static":
        attributes["activation_scale"] = SCALE
    if mode == "token-asym":
        constants["row_sums"] = row_sums(form, packed, rows, columns)
    constants |= changes.pop("constants", {})
    return one_node_model(
        operator, {"X": ["tokens", columns]}, constants, attributes | changes, positions={"row_sums": ROW_SUMS_INPUT}
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("form", "random"), FORMATS, ids=lambda value: str(value) if hasattr(value, "bits") else "")
def test_products(isa: str, mode: ActivationMode, form: Any, random: Any) -> None:
    tensor, x = random(form, 70, 300), activations(17, 300)
    seen = fake_quantize(torch.from_numpy(x), mode, form.group_size, SCALE).numpy()
    session = open_session(node(form, tensor, mode))
    for tokens in (1, 3, 17):
        y = session.run(None, {"X": x[:tokens]})[0]
        # Codes and zero points are multiplied apart: errors are relative to twice the range.
        magnitudes = 2 * np.abs(x[:tokens]).max(1, keepdims=True) if mode == "token-asym" else np.abs(seen[:tokens])
        exact = seen[:tokens].astype(np.float64) @ form.decode(tensor).astype(np.float64).T
        scale = np.broadcast_to(magnitudes, x[:tokens].shape).astype(np.float64) @ np.abs(form.decode(tensor)).T
        assert (np.abs(y - exact) <= TOLERANCE * scale).all()


@pytest.mark.parametrize("mode", MODES)
def test_every_instruction_set_and_number_of_threads_gives_the_same_bits(
    mode: ActivationMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edgeq_ops

    form = DintFormat(4, 96, symmetric=False)
    model, x = node(form, random_dint(form, 1100, 700), mode), activations(29, 700)
    results = []
    for name in edgeq_ops.instruction_sets().available:
        monkeypatch.setenv("EDGEQ_ISA", name)
        results += [open_session(model, threads).run(None, {"X": x})[0] for threads in (1, 3)]
        one = open_session(model).run(None, {"X": x[5:6]})[0]
        np.testing.assert_array_equal(one[0], results[-1][5])
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_token_that_is_not_finite_becomes_nan_and_no_other(isa: str, mode: ActivationMode, bad: float) -> None:
    form = UniformFormat(4, 32, symmetric=False)
    session, x = open_session(node(form, random_uniform(form, 40, 100), mode)), activations(5, 100)
    clean = session.run(None, {"X": x})[0]
    x[2, 99] = bad
    y = session.run(None, {"X": x})[0]
    assert np.isnan(y[2]).all()
    np.testing.assert_array_equal(np.delete(y, 2, axis=0), np.delete(clean, 2, axis=0))


def test_zero_points_resolve_a_range_on_one_side_of_zero() -> None:
    form = UniformFormat(8, 0)
    tensor, x = random_uniform(form, 64, 256), 5 + np.random.default_rng(0).random((4, 256), np.float32)
    errors = [
        relative_error(open_session(node(form, tensor, mode)).run(None, {"X": x})[0], x, form.decode(tensor))
        for mode in ("token", "token-asym")
    ]
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize(
    ("mode", "changes", "message"),
    [
        ("token", {"activation_quantization": "row"}, "activation_quantization: found 'row', wanted 'block', 'token'"),
        ("token", {"activation_bits": 32}, "found 'token' with 32-bit activations, wanted none"),
        ("static", {"activation_scale": 0.0}, "attribute activation_scale: found 0.0*, wanted a positive number"),
        ("static", {"activation_scale": float("inf")}, "activation_scale: found inf, wanted a positive number"),
        ("token", {"activation_quantization": "static"}, "attribute activation_scale: found none, wanted a number"),
        ("token", {"activation_quantization": "token_asym"}, "input row_sums: found no constant, wanted the sums"),
        (
            "token-asym",
            {"constants": {"row_sums": np.zeros(39, np.float32)}},
            r"input row_sums: found shape \[39\], wanted float32 \[40\]",
        ),
        ("token-asym", {"activation_quantization": "token"}, "inputs row_sums: found one too many"),
    ],
)
def test_bad_nodes(mode: ActivationMode, changes: dict[str, Any], message: str) -> None:
    form = UniformFormat(4, 32)
    with pytest.raises(Exception, match=f"node 'head'.*{message}"):
        open_session(node(form, random_uniform(form, 40, 96), mode, **changes))
