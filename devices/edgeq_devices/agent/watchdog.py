# SPDX-License-Identifier: Apache-2.0
"""Ends the agent when the host has gone: its stdin closes, or its heartbeat stays away."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import BinaryIO

HEARTBEAT_SECONDS = 5.0
SILENCE_SECONDS = 30.0


def watch(stream: BinaryIO, lost: Callable[[str], None], silence: float = SILENCE_SECONDS) -> threading.Thread:
    """Reads heartbeats from a thread; calls ``lost`` once, with the reason, when they end.

    Args:
        stream: Unbuffered; anything that arrives counts as a heartbeat.
        lost: What to do when the host has gone.
        silence: Longest time between heartbeats.
    """

    def run() -> None:
        descriptor = stream.fileno()
        while True:
            ready, _, _ = select.select([descriptor], [], [], silence)
            if not ready:
                return lost(f"no heartbeat for {silence:.0f} s")
            if not os.read(descriptor, 4096):
                return lost("the connection was closed")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
