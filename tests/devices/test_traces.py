# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import zlib

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices import results
from edgeq_devices.agent.operators import summarize
from edgeq_devices.results import unpack_trace


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
    monkeypatch.setattr(results, "TRACE_BYTES", 100)
    with pytest.raises(EdgeqError, match="damaged trace from the board"):
        unpack_trace(packed)
