# SPDX-License-Identifier: Apache-2.0
"""Which agents run on this machine, and patience with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120.0  # seconds for what takes a fraction of one, however busy the machine is


def agents_running(root: Path, *verbs: str) -> list[int]:
    """Processes of the agent with this root directory that run one of the verbs; other tests' are no matter."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 3 and words[1].endswith(b".pyz") and words[2].decode() in verbs and words[3] == bytes(root):
            found.append(int(path.parent.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Fails unless the condition becomes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def children(parent: int) -> list[int]:
    """Processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return found
