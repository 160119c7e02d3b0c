# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.formats.bcq import BcqFormat
from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import one_node_model, open_session, random_bcq, random_uniform


def gather(form: Any, packed: np.ndarray, rows: int, columns: int, indices: np.ndarray, **change: Any) -> np.ndarray:
    attributes = {
        "K": columns,
        "N": rows,
        "bits": form.bits,
        "group_size": form.group_size,
        "has_zero_point": int(isinstance(form, UniformFormat) and not form.symmetric),
        "format": form.name,
    } | change
    shape: list[int | str] = [f"d{axis}" for axis in range(indices.ndim)]
    model = one_node_model("QuantGather", {"indices": shape}, {"W": packed}, attributes)
    rows_found: np.ndarray = open_session(model, threads=2).run(None, {"indices": indices})[0]
    return rows_found


@settings(max_examples=40)
@given(
    rows=st.integers(1, 100),
    columns=st.integers(1, 300),
    bits=st.sampled_from([2, 3, 4, 8]),
    group_size=st.sampled_from([0, 32, 96, 128]),
    symmetric=st.booleans(),
)
def test_rows_of_uniform_weights(rows: int, columns: int, bits: int, group_size: int, symmetric: bool) -> None:
    form = UniformFormat(bits, group_size, symmetric)
    tensor = random_uniform(form, rows, columns)
    indices = np.random.default_rng(0).integers(0, rows, (2, 5))
    np.testing.assert_array_equal(gather(form, form.pack(tensor), rows, columns, indices), form.decode(tensor)[indices])


@settings(max_examples=40)
@given(
    rows=st.integers(1, 200),
    columns=st.integers(1, 300),
    planes=st.integers(1, 4),
    group_size=st.sampled_from([0, 32, 96, 128]),
)
def test_rows_of_bcq_weights(rows: int, columns: int, planes: int, group_size: int) -> None:
    form = BcqFormat(planes, group_size)
    tensor = random_bcq(form, rows, columns)
    indices = np.random.default_rng(0).integers(0, rows, (2, 5))
    np.testing.assert_array_equal(gather(form, form.pack(tensor), rows, columns, indices), form.decode(tensor)[indices])


FORM = UniformFormat(4, 32)
TENSOR = random_uniform(FORM, 40, 96)
PACKED = FORM.pack(TENSOR)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (600,), (1, 2, 3)])
def test_any_shape_of_indices(shape: tuple[int, ...]) -> None:
    indices = np.asarray(np.arange(int(np.prod(shape))).reshape(shape) % 40)
    np.testing.assert_array_equal(gather(FORM, PACKED, 40, 96, indices), FORM.decode(TENSOR)[indices])


@pytest.mark.parametrize("bad", [-1, 40, 2**62, -(2**63)])
def test_index_out_of_range(bad: int) -> None:
    with pytest.raises(Exception, match=f"node 'head': input indices: found {bad} at position 1, wanted 0 to 39"):
        gather(FORM, PACKED, 40, 96, np.array([0, bad]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "dense"}, "attribute format: found 'dense', wanted 'uniform', "),
        ({"bits": 1}, "attribute bits: found 1, wanted 2, 3, 4 or 8"),
        ({"format": "bcq", "bits": 5}, "attribute bits: found 5, wanted 1 to 4"),
        ({"format": "bcq", "has_zero_point": 1}, "attribute has_zero_point: found 1, wanted 0 to 0"),
        ({"N": 65}, "input W: found shape [3456], wanted [5184]"),
        ({"format": "bcq"}, "input W: found shape [3456], wanted ["),
    ],
)
def test_attributes(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=r"com\.edgeq\.QuantGather node 'head': ") as caught:
        gather(FORM, PACKED, 40, 96, np.array([0]), **change)
    assert message in str(caught.value)
