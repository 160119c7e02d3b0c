# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices import traces
from edgeq_devices.agent.operators import summarize
from edgeq_devices.traces import unpack_trace, with_layers
from tests.devices.trace_format import end, read_trace


def test_the_first_call_of_a_node_does_not_count() -> None:
    kernel = {"cat": "Node", "name": "a_kernel_time", "args": {"op_name": "MatMul"}}
    trace = [
        {"cat": "Session", "name": "model_run", "dur": 500},
        {**kernel, "dur": 100},
        {"cat": "Node", "name": "a_fence_before", "dur": 1},
        {**kernel, "dur": 7},
        {**kernel, "dur": 9},
    ]
    assert summarize(trace) == [{"node": "a", "op": "MatMul", "calls": 2, "us": 16}]


def test_traces_are_unpacked() -> None:
    assert unpack_trace(zlib.compress(b"[]")) == b"[]"


@pytest.mark.parametrize("packed", [b"x", zlib.compress(b"[]")[:-1], zlib.compress(b"[]" * 1000)])
def test_damaged_and_endless_traces_are_refused(packed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "TRACE_BYTES", 100)
    with pytest.raises(EdgeqError, match="damaged trace from the board"):
        unpack_trace(packed)


def complete(name: str, start: int, duration: int, category: str = "Node") -> dict[str, Any]:
    times = {"ts": start, "dur": duration}
    return {"cat": category, "pid": 7, "tid": 8, "ph": "X", "name": name, "args": {}, **times}


def written(*events: dict[str, Any]) -> bytes:
    """As ONNX Runtime writes it."""
    return b"[\n" + b",\n".join(json.dumps(event).encode() for event in events) + b"]\n"


def spans(trace: bytes) -> list[tuple[str, int, int, int]]:
    layers = [event for event in read_trace(trace) if event["cat"] == "Layer"]
    return [(event["name"], event["ts"], end(event), event["args"]["nodes"]) for event in layers]


def test_layers_become_spans() -> None:
    nodes = [
        complete("/model/layers.0/mlp/Mul_kernel_time", 10, 5),
        complete("/model/layers.0/mlp/Add_kernel_time", 16, 4),
        complete("Constant_kernel_time", 20, 1),
        complete("/model/layers.1/mlp/Mul_kernel_time", 22, 3),
        complete("model_run", 9, 17, "Session"),
        complete("/model/layers.1/mlp/Mul_kernel_time", 32, 3),
    ]
    trace = with_layers(written(*nodes), "tiny, pp8", "local")
    assert spans(trace) == [("model.layers.0", 10, 20, 2), ("model.layers.1", 22, 25, 1), ("model.layers.1", 32, 35, 1)]
    named, *events = json.loads(trace)
    assert named["args"] == {"name": "tiny, pp8"}
    assert [event for event in events if event in nodes] == nodes
    assert events[0]["cat"] == "Layer", "viewers put the second of two events with one start into the first"


def test_branches_do_not_part_the_layer_that_they_belong_to() -> None:
    branch, node = complete("/branch/Add_kernel_time", 12, 2), complete("/layers.0/If_kernel_time", 11, 6)
    trace = with_layers(written(complete("/branch/Mul_kernel_time", 8, 1), branch, node), "tiny", "local")
    assert spans(trace) == [("branch", 8, 9, 1), ("layers.0", 11, 17, 1)]


def test_what_rounding_cut_is_put_back() -> None:
    trace = written(complete("/a/Add_kernel_time", 10, 8), complete("model_run", 9, 8, "Session"))
    with pytest.raises(AssertionError, match="overlaps"):
        read_trace(trace)
    assert [end(event) for event in read_trace(with_layers(trace, "tiny", "local"))] == [18, 18, 18]


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (b"[\nno trace]", r"^ssh://board: the board sends something else than events, found b'no trace"),
        (written(complete("a", 1, 2)).replace(b"2", b"NaN"), "something else than events"),
        (written(complete("a", 1, -2)), r"^ssh://board: dur: damaged trace from the board, found .*greater than"),
        (written({"ph": "X"}), r"^ssh://board: name: damaged trace from the board, found Field required"),
    ],
)
def test_what_is_no_trace_is_refused(trace: bytes, message: str) -> None:
    with pytest.raises(EdgeqError, match=message):
        with_layers(trace, "tiny", "ssh://board")
