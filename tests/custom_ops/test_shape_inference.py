# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import dint_gemm_attributes, one_node_model, open_session, random_uniform

FORM = UniformFormat(4, 32)
PACKED = FORM.pack(random_uniform(FORM, 40, 96))
GATHER: dict[str, Any] = {"K": 96, "N": 40, "bits": 4, "group_size": 32, "has_zero_point": 0, "format": "uniform"}


@pytest.mark.parametrize(
    ("given", "inferred"),
    [
        (["batch", "sequence", 96], ["batch", "sequence", 40]),
        ([1, "sequence", 96], [1, "sequence", 40]),
        (["tokens", "features"], ["tokens", 40]),
        ([3, 5, 96], [3, 5, 40]),
        ([96], [40]),
    ],
)
def test_products_keep_the_names_of_dimensions(given: list[int | str], inferred: list[int | str]) -> None:
    model = one_node_model("DintGemm", {"X": given}, {"W": PACKED}, dint_gemm_attributes(FORM, 40, 96, 8))
    assert open_session(model).get_outputs()[0].shape == inferred


@pytest.mark.parametrize(
    ("given", "inferred"),
    [(["batch", "sequence"], ["batch", "sequence", 96]), ([2, 7], [2, 7, 96]), (["n"], ["n", 96])],
)
def test_rows_keep_the_names_of_dimensions(given: list[int | str], inferred: list[int | str]) -> None:
    model = one_node_model("QuantGather", {"indices": given}, {"W": PACKED}, GATHER)
    assert open_session(model).get_outputs()[0].shape == inferred


def test_a_dimension_without_a_name_is_left_open() -> None:
    import onnx

    model = one_node_model("DintGemm", {"X": ["t", 96]}, {"W": PACKED}, dint_gemm_attributes(FORM, 40, 96, 8))
    proto = onnx.load_from_string(model)
    proto.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    session = open_session(proto.SerializeToString())
    assert -1 not in session.get_outputs()[0].shape
