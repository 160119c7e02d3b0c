# SPDX-License-Identifier: Apache-2.0
"""DintGemm and QuantGather with the dint format."""

from __future__ import annotations

import numpy as np
import pytest

from edgeq.formats.dint import DintFormat
from edgeq.quantization.operators import gather_operator
from tests.custom_ops.graphs import (
    dint_gemm_attributes,
    dint_gemm_model,
    gemm_model,
    one_node_model,
    open_session,
    random_dint,
    relative_error,
    round_activations,
)

TOLERANCE = 2e-6  # float32 rounding of a sum of 300 terms, relative to their magnitudes


@pytest.mark.parametrize("bits", [3, 4])
@pytest.mark.parametrize("group_size", [0, 32, 128])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("denominator", [2, 4, 8])
def test_products(isa: str, bits: int, group_size: int, symmetric: bool, denominator: int) -> None:
    form = DintFormat(bits, group_size, symmetric, denominator)
    tensor = random_dint(form, 70, 300)
    x = np.random.default_rng(1).standard_normal((17, 300), np.float32)
    weight = form.decode(tensor)
    for activation_bits, seen in ((8, round_activations(x, group_size)), (32, x)):
        session = open_session(dint_gemm_model(form, tensor, activation_bits))
        for tokens in (1, 3, 17):
            y = session.run(None, {"X": x[:tokens]})[0]
            assert relative_error(y, seen[:tokens], weight) < TOLERANCE


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("denominator", [2, 4, 8])
def test_gathered_rows_are_exact(symmetric: bool, denominator: int) -> None:
    form = DintFormat(3, 32, symmetric, denominator)
    tensor = random_dint(form, 40, 70)
    operator, attributes = gather_operator(form, 40, 70)
    session = open_session(one_node_model(operator, {"indices": ["n"]}, {"W": form.pack(tensor)}, attributes))
    rows = np.arange(40)[::-1].copy()
    np.testing.assert_array_equal(session.run(None, {"indices": rows})[0], form.decode(tensor)[rows])


def test_the_denominator_may_be_absent() -> None:
    form = DintFormat(4, 32)
    attributes = dint_gemm_attributes(form, 40, 96, 8)
    assert attributes.pop("denominator") == 2
    tensor, x = random_dint(form, 40, 96), np.random.default_rng(1).standard_normal((2, 96), np.float32)
    session = open_session(gemm_model("DintGemm", form.pack(tensor), attributes, None, 2))
    y = session.run(None, {"X": x})[0]
    assert relative_error(y, round_activations(x, 32), form.decode(tensor)) < TOLERANCE


def test_denominators() -> None:
    attributes = dint_gemm_attributes(DintFormat(4), 32, 32, 8) | {"denominator": 3}
    with pytest.raises(Exception, match="attribute denominator: found 3, wanted 2, 4 or 8"):
        open_session(gemm_model("DintGemm", np.zeros(576, np.uint8), attributes, None, 2))


@pytest.mark.parametrize("bits", [2, 8])
def test_bits(bits: int) -> None:
    attributes = dint_gemm_attributes(DintFormat(4), 32, 32, 8) | {"bits": bits}
    with pytest.raises(Exception, match=f"attribute bits: found {bits}, wanted 3 or 4"):
        open_session(gemm_model("DintGemm", np.zeros(576, np.uint8), attributes, None, 2))
