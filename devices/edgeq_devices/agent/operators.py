# SPDX-License-Identifier: Apache-2.0
"""Time per operator, from ONNX Runtime's own profile: a trace of events that Perfetto opens."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK = 1 << 20  # bytes of a compressed trace per event
_KERNEL = "_kernel_time"


def summarize(trace: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls and microseconds of each node, without its first call, which allocates and touches weights."""
    nodes: dict[str, dict[str, Any]] = {}
    seen = set()
    for event in trace:
        name = str(event.get("name", ""))
        if event.get("cat") != "Node" or not name.endswith(_KERNEL):
            continue
        node = name.removesuffix(_KERNEL)
        if node not in seen:
            seen.add(node)
            nodes[node] = {"node": node, "op": str(event.get("args", {}).get("op_name", "")), "calls": 0, "us": 0}
            continue
        nodes[node]["calls"] += 1
        nodes[node]["us"] += int(event.get("dur", 0))
    return list(nodes.values())


def events(path: Path, *, whole: bool) -> Iterator[dict[str, Any]]:
    """The agent's events for a trace: its summary, and, if asked for, all of it in compressed pieces."""
    content = path.read_bytes()
    yield {"event": "operators", "nodes": summarize(json.loads(content))}
    if whole:
        packed = zlib.compress(content)
        for start in range(0, len(packed), CHUNK):
            yield {"event": "trace", "data": base64.b64encode(packed[start : start + CHUNK]).decode()}
