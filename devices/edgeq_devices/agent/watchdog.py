# SPDX-License-Identifier: Apache-2.0
"""Host and agent tell each other that they live; the agent ends when the host has gone.

The host has gone when the agent's stdin closes or no heartbeat comes (:mod:`edgeq_devices.silence` is its counterpart).
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
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


def beat(send: Callable[[], None], interval: float = HEARTBEAT_SECONDS) -> threading.Thread:
    """Calls ``send`` from a thread as long as it works and the process lives."""

    def run() -> None:
        with suppress(OSError, ValueError):  # whoever watches the host ends this process
            while True:
                time.sleep(interval)
                send()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
