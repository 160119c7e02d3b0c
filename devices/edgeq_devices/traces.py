# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's trace of a run as what trace viewers read: the Trace Event format, with a span for each layer.

The format: "Trace Event Format" of the Chromium project; times are microseconds, complete events (phase ``X``) of one
thread nest. Perfetto moves those that overlap without nesting to another track.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator
from itertools import groupby
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeq.errors import EdgeqError
from edgeq_devices.answers import parse_answer, printable
from edgeq_devices.operator_groups import NO_LAYER, split_name

TRACE_BYTES = 1 << 30
ROUNDING = 2  # ONNX Runtime cuts the start and the duration to whole microseconds
_NODE = "Node"
Microseconds = Annotated[int, Field(ge=0)]


class Event(BaseModel):
    """A complete event; other fields are kept as they are.

    Attributes:
        name: Of the node or the step.
        cat: ``Node`` or ``Session``.
        ph: Phase.
        pid: Process.
        tid: Thread.
        ts: Start in microseconds.
        dur: Duration in microseconds.
        args: What else is known of it.
    """

    model_config = ConfigDict(extra="allow", strict=True)
    name: str
    cat: str
    ph: Literal["X"]
    pid: int
    tid: int
    ts: Microseconds
    dur: Microseconds
    args: dict[str, Any]

    @property
    def end(self) -> int:
        """When it ended, in microseconds."""
        return self.ts + self.dur


def unpack_trace(packed: bytes) -> bytes:
    """A trace as JSON.

    Raises:
        EdgeqError: It is damaged, or larger than `TRACE_BYTES`.
    """
    unpacker = zlib.decompressobj()
    try:
        trace = unpacker.decompress(packed, TRACE_BYTES)
    except zlib.error as error:
        raise EdgeqError("damaged trace from the board", found=str(error)) from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise EdgeqError("damaged trace from the board", wanted=f"a whole one of at most {TRACE_BYTES} bytes")
    return trace


def with_layers(trace: bytes, name: str, device: str) -> bytes:
    """Adds a span around the nodes of each layer, and a name for the process.

    Args:
        trace: As ONNX Runtime writes it, one event per line: inner events before those that they are part of.
        name: What was run.
        device: Where it ran, for the error.

    Raises:
        EdgeqError: It is no such trace.
    """
    return b"[\n" + b",\n".join(json.dumps(event).encode() for event in _events(trace, name, device)) + b"\n]\n"


def _events(trace: bytes, name: str, device: str) -> Iterator[dict[str, Any]]:
    named: set[int] = set()
    nodes: list[Event] = []
    latest: dict[int, int] = {}
    for event in _parse(trace, device):
        if event.pid not in named:
            named.add(event.pid)
            yield {"name": "process_name", "ph": "M", "pid": event.pid, "tid": event.tid, "args": {"name": name}}
        _enclose(event, latest)
        if event.cat == _NODE:
            nodes.append(event)
            continue
        yield from _with_spans(nodes)
        nodes = []
        yield event.model_dump()
    yield from _with_spans(nodes)


def _with_spans(nodes: list[Event]) -> Iterator[dict[str, Any]]:
    """Spans come first: of two events with one start, viewers put the later one into the earlier one."""
    yield from _spans(nodes)
    yield from (node.model_dump() for node in nodes)


def _parse(trace: bytes, device: str) -> Iterator[Event]:
    for line in io.BytesIO(trace):
        text = line.strip().removeprefix(b"[").removesuffix(b"]").removesuffix(b",")
        if not text.strip():
            continue
        try:
            yield Event.model_validate(parse_answer(text, device))
        except ValidationError as error:
            first = error.errors()[0]
            field = printable(".".join(map(str, first["loc"])))
            raise EdgeqError("damaged trace from the board", field=f"{device}: {field}", found=first["msg"]) from error


def _enclose(event: Event, latest: dict[int, int]) -> None:
    """Events are written when they end: one that ends before an earlier one was cut by the rounding."""
    before = latest.get(event.tid, 0)
    if event.ts < before and 0 < before - event.end <= ROUNDING:
        event.dur = before - event.ts
    latest[event.tid] = max(before, event.end)


def _spans(nodes: list[Event]) -> Iterator[dict[str, Any]]:
    """A span around each row of nodes, one after the other, of one layer."""
    for (thread, layer), group in groupby(_outermost(nodes), lambda node: (node.tid, split_name(node.name)[0])):
        members = list(group)
        if layer != NO_LAYER:
            start = members[0].ts
            place = {"pid": members[0].pid, "tid": thread, "ts": start, "dur": members[-1].end - start}
            yield {"name": layer, "cat": "Layer", "ph": "X", **place, "args": {"nodes": len(members)}}


def _outermost(nodes: list[Event]) -> Iterator[Event]:
    """Nodes in order, without those that are part of another, such as a branch's."""
    ends: dict[int, int] = {}
    for node in sorted(nodes, key=lambda node: (node.tid, node.ts, -node.dur)):
        if node.ts >= ends.get(node.tid, 0):
            ends[node.tid] = node.end
            yield node
