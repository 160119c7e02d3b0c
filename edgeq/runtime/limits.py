# SPDX-License-Identifier: Apache-2.0
"""Limits of time and memory for Python code that is not trusted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any


class LimitExceededError(Exception):
    """Untrusted code took more than it was given."""


@contextmanager
def time_and_memory_limit(seconds: float, added_bytes: int) -> Iterator[None]:
    """Interrupts the Python code of this thread after ``seconds``; lets the process grow by ``added_bytes`` at most.

    The memory limit raises ``MemoryError`` and exists on Linux only.

    Raises:
        LimitExceededError: The time is up.
    """
    previous_trace = sys.gettrace()
    sys.settrace(_tracer(time.monotonic() + seconds, seconds))
    try:
        with _address_space_limit(added_bytes):
            yield
    finally:
        sys.settrace(previous_trace)


def _tracer(deadline: float, seconds: float) -> Callable[[FrameType, str, Any], Any]:
    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if time.monotonic() > deadline:
            raise LimitExceededError(f"more than {seconds:g} seconds")
        return trace

    return trace


@contextmanager
def _address_space_limit(added_bytes: int) -> Iterator[None]:
    statm = Path("/proc/self/statm")
    if not statm.exists():  # not Linux
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(statm.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    limit = now + added_bytes
    bounds = [bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([limit, *bounds]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
