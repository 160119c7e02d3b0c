# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.custom_ops.graphs import one_node_model, open_session, relative_error

TOLERANCE = 2e-6  # float32 rounding, relative to the sum of the magnitudes of the products

Array = np.ndarray[Any, Any]


def csr(matrix: Array) -> dict[str, Array]:
    rows, columns = np.nonzero(matrix)
    pointers = np.searchsorted(rows, np.arange(len(matrix) + 1)).astype(np.int32)
    return {"row_pointers": pointers, "columns": columns.astype(np.uint16), "values": matrix[rows, columns]}


def random_sparse(rows: int, columns: int, share: float, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((rows, columns)) < share, rng.normal(size=(rows, columns)), 0).astype(np.float16)


def model(matrix: Array, *, addend: Array | None = None, rank: int = 2, **change: Any) -> bytes:
    rows, columns = matrix.shape
    constants = csr(matrix) | ({} if addend is None else {"addend": addend})
    constants |= {name: value for name, value in change.items() if name in constants}
    attributes = {"K": columns, "N": rows} | {name: change[name] for name in ("K", "N") if name in change}
    shape: list[int | str] = ["a", "b", "c"][:rank]
    return one_node_model("SparseGemm", {"X": shape}, constants, attributes)


@settings(max_examples=60)
@given(
    rows=st.integers(1, 100),
    columns=st.integers(1, 300),
    tokens=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.005, 0.1, 1.0]),
    adds=st.booleans(),
)
def test_any_shape(rows: int, columns: int, tokens: int, share: float, adds: bool) -> None:
    matrix, rng = random_sparse(rows, columns, share, seed=rows), np.random.default_rng(columns)
    x = rng.standard_normal((tokens, columns), np.float32)
    addend = rng.standard_normal((tokens, rows), np.float32) if adds else None
    y = open_session(model(matrix, addend=addend), threads=2).run(None, {"X": x})[0]
    error = relative_error(y, x, matrix.astype(np.float32), addend)
    assert y.shape == (tokens, rows)
    assert error < TOLERANCE


def test_every_instruction_set_and_number_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    import edgeq_ops

    graph = model(random_sparse(3000, 500, 0.02))
    x = np.random.default_rng(1).standard_normal((33, 500), np.float32)
    results = []
    for name in edgeq_ops.instruction_sets().available:
        monkeypatch.setenv("EDGEQ_ISA", name)
        results += [open_session(graph, threads=threads).run(None, {"X": x})[0] for threads in (1, 2)]
    one = open_session(graph).run(None, {"X": x[:1]})[0]
    for result in results:
        np.testing.assert_array_equal(result, results[0])
        np.testing.assert_array_equal(result[:1], one)


def test_leading_dimensions_are_tokens() -> None:
    matrix = random_sparse(33, 64, 0.1)
    x = np.random.default_rng(2).standard_normal((2, 3, 64), np.float32)
    y = open_session(model(matrix, rank=3)).run(None, {"X": x})[0]
    flat = open_session(model(matrix)).run(None, {"X": x.reshape(6, 64)})[0]
    np.testing.assert_array_equal(y.reshape(6, 33), flat)
    assert open_session(model(matrix, rank=3)).run(None, {"X": x[:, :0]})[0].shape == (2, 0, 33)


GOOD = random_sparse(4, 10, 0.5)
PARTS = csr(GOOD)
ENTRIES = len(PARTS["values"])


def pointers(**change: int) -> Array:
    changed = PARTS["row_pointers"].copy()
    for place, value in change.items():
        changed[int(place[1:])] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": 0}, "attribute K: found 0, wanted 1 to 65536"),
        ({"K": 65537}, "attribute K: found 65537, wanted 1 to 65536"),
        ({"K": 9}, "wanted 0 to 8"),
        ({"N": 5}, "input row_pointers: found shape [5], wanted [6]"),
        ({"row_pointers": pointers(_0=1)}, "input row_pointers: found 1 at position 0, wanted 0"),
        ({"row_pointers": pointers(_0=-1)}, "input row_pointers: found -1 at position 0, wanted 0"),
        ({"row_pointers": pointers(_2=ENTRIES + 1)}, "at position 3, wanted at least"),
        ({"row_pointers": pointers(_2=-5)}, "input row_pointers: found -5 at position 2, wanted at least"),
        ({"row_pointers": pointers(_4=2**31 - 1)}, "input row_pointers: found 2147483647 at the end"),
        ({"row_pointers": PARTS["row_pointers"][:0]}, "input row_pointers: found shape [0], wanted [5]"),
        ({"row_pointers": PARTS["row_pointers"][None]}, "input row_pointers: found shape [1, 5], wanted one dimension"),
        ({"columns": PARTS["columns"][:-1]}, f"input columns: found shape [{ENTRIES - 1}], wanted [{ENTRIES}]"),
        ({"columns": PARTS["columns"] + np.uint16(60000)}, "at position 0, wanted 0 to 9"),
        ({"values": PARTS["values"][:-1]}, "at the end, wanted the number of values"),
    ],
)
def test_what_would_read_out_of_bounds_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=r"com\.edgeq\.SparseGemm node 'head': ") as caught:
        open_session(model(GOOD, **change))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"row_pointers": PARTS["row_pointers"].astype(np.int64)},
        {"columns": PARTS["columns"].astype(np.int32)},
        {"values": PARTS["values"].astype(np.float32)},
    ],
)
def test_other_element_types_are_refused(change: dict[str, Array]) -> None:
    with pytest.raises(Exception, match=r"(?i)type"):
        open_session(model(GOOD, **change))


def test_computed_pointers_are_refused() -> None:
    import onnx

    proto = onnx.load_from_string(model(GOOD))
    constant = next(each for each in proto.graph.initializer if each.name == "row_pointers")
    proto.graph.initializer.remove(constant)
    proto.graph.input.append(onnx.helper.make_tensor_value_info("row_pointers", onnx.TensorProto.INT32, [5]))
    with pytest.raises(Exception, match="input row_pointers: found a computed tensor, wanted a constant initializer"):
        open_session(proto.SerializeToString())


def test_inputs_of_another_shape_are_refused() -> None:
    with pytest.raises(Exception, match=r"input X: found shape \[2, 11\], wanted \[..., 10\]"):
        open_session(model(GOOD)).run(None, {"X": np.zeros((2, 11), np.float32)})
    session = open_session(model(GOOD, addend=np.zeros((1, 4), np.float32)))
    with pytest.raises(Exception, match=r"input addend: found shape \[1, 4\], wanted \[2, 4\]"):
        session.run(None, {"X": np.zeros((2, 10), np.float32)})
