# SPDX-License-Identifier: Apache-2.0
"""A pattern of rest and load on all processors, by which the clock of a meter in the supply is aligned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq_devices.agent.orphan import die_with_parent

LEAD_NS = 200_000_000  # from the order to the first stretch: every process has read it by then
Span = tuple[int, int]


def run_pattern(root: Path, seconds: Sequence[float]) -> list[Span]:
    """Rests and loads in turn, beginning and ending with rest; start and end of each load, in monotonic nanoseconds.

    Raises:
        EdgeqError: A process that makes the load ended early.
    """
    with ExitStack() as stack:
        spinners = [stack.enter_context(_spinner(root)) for _ in os.sched_getaffinity(0)]
        for spinner in spinners:
            assert spinner.stdout is not None
            if spinner.stdout.readline() != "ready\n":
                raise EdgeqError("the load pattern could not be made", found="a process that ended early")
        spans = schedule(seconds, time.monotonic_ns() + LEAD_NS)
        for spinner in spinners:
            assert spinner.stdin is not None
            spinner.stdin.write(json.dumps(spans) + "\n")
            spinner.stdin.close()
        for spinner in spinners:
            spinner.wait()
    time.sleep(seconds[-1])
    return spans


def schedule(seconds: Sequence[float], start_ns: int) -> list[Span]:
    """Start and end of each load; ``seconds`` are of rests and loads in turn."""
    spans = []
    for rest, load in zip(seconds[:-1:2], seconds[1::2], strict=True):
        begin = start_ns + int(rest * 1e9)
        start_ns = begin + int(load * 1e9)
        spans.append((begin, start_ns))
    return spans


def spin() -> None:
    """Keeps one processor busy during the spans on stdin: the process that `run_pattern` starts."""
    die_with_parent()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for start, end in json.loads(sys.stdin.readline()):
        time.sleep(max(0, start - time.monotonic_ns()) * 1e-9)
        while time.monotonic_ns() < end:
            pass


def _spinner(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, sys.argv[0], "spin", str(root)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
