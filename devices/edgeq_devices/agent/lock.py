# SPDX-License-Identifier: Apache-2.0
"""One measurement at a time on a board: two would spoil each other's numbers."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SHARED_LOCK = "/tmp/edgeq.lock"  # noqa: S108 - users of a board have no other directory in common
LONGEST = 4096  # characters of a holder's description


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
    with _open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(_describe(path)) from None
        file.truncate(0)
        # Boards without a battery set their clock when they find a network; a lock never outlives the monotonic one.
        file.write(json.dumps({"holder": holder, "since": time.monotonic()}))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _open(path: Path) -> IO[str]:
    """The file, which users share: made by the first of them, never followed where it is a link."""
    previous = os.umask(0)
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+")
    except PermissionError:  # kernels refuse O_CREAT for others' files in /tmp
        return os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+")
    finally:
        os.umask(previous)


def _describe(path: Path) -> str:
    try:
        with path.open() as file:  # which anybody may have written
            state = json.loads(file.read(LONGEST))
        holder, seconds = str(state["holder"]), time.monotonic() - float(state["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return "another measurement runs on this board"
    return f"{holder} has been measuring on this board for {seconds:.0f} s"
