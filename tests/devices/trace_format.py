# SPDX-License-Identifier: Apache-2.0
"""What the Trace Event format asks of a trace, written down apart from what edgeq writes."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

FIELDS = {"X": {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"}, "M": {"name", "ph", "pid", "tid", "args"}}
Event = dict[str, Any]


def read_trace(content: bytes) -> list[Event]:
    """The complete events of a trace; fails where a viewer would complain."""
    tracks: dict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in json.loads(content):
        assert event.keys() >= FIELDS[event["ph"]]
        if event["ph"] == "X":
            assert min(event["ts"], event["dur"]) >= 0
            tracks[event["pid"], event["tid"]].append(event)
    for track in tracks.values():
        _check_nesting(track)
    return [event for track in tracks.values() for event in track]


def end(event: Event) -> int:
    """When it ended, in microseconds."""
    return int(event["ts"] + event["dur"])


def _check_nesting(track: list[Event]) -> None:
    around: list[Event] = []
    for event in sorted(track, key=lambda event: (event["ts"], -event["dur"])):
        while around and end(around[-1]) <= event["ts"]:
            around.pop()
        assert not around or end(event) <= end(around[-1]), f"{event['name']} overlaps {around[-1]['name']}"
        around.append(event)
