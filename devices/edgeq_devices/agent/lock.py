# SPDX-License-Identifier: Apache-2.0
"""One measurement at a time on a board: two would spoil each other's numbers."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class BusyError(Exception):
    """Somebody else is measuring; the text says who, and since when."""


@contextmanager
def hold(path: Path, holder: str) -> Iterator[None]:
    """Holds the lock; the kernel releases it when the process ends, however it ends.

    Args:
        path: The lock file.
        holder: Who holds it, for the message that others get.

    Raises:
        BusyError: Somebody else holds it.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(_describe(path)) from None
        file.truncate(0)
        file.write(json.dumps({"holder": holder, "since": time.time()}))
        file.flush()
        yield
        file.truncate(0)


def _describe(path: Path) -> str:
    try:
        state = json.loads(path.read_text())
        holder, seconds = str(state["holder"]), time.time() - float(state["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return "another measurement runs on this board"
    return f"{holder} has been measuring on this board for {seconds:.0f} s"
