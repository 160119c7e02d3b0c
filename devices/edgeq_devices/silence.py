# SPDX-License-Identifier: Apache-2.0
"""Ends the connection to a board that hangs: one that neither answers nor takes what it is sent."""

from __future__ import annotations

import subprocess
import time

from edgeq.errors import EdgeqError
from edgeq_devices.background import Background

SILENCE_SECONDS = 60.0
"""Several times the agent's heartbeat, for a board whose disk or network is slow."""


class SilenceGuard(Background):
    """Kills the process that holds a connection when nothing is heard from the board for too long.

    Args:
        process: To kill.
        seconds: Longest silence.

    Attributes:
        expired: Whether it was killed.
    """

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        super().__init__()
        self.expired = False
        self._process, self._seconds = process, seconds
        self._heard = time.monotonic()

    def heard(self) -> None:
        """The board lives."""
        self._heard = time.monotonic()

    def error(self, device: str) -> EdgeqError:
        """What to tell the user of a process that was killed."""
        remedy = "is it overloaded, or did it hang? try again when it answers"
        return EdgeqError(
            "the board does not answer", field=device, found=f"silence for {self._seconds:.0f} s", remedy=remedy
        )

    def _run(self) -> None:
        while not self._stop.wait(max(0.05, self._heard + self._seconds - time.monotonic())):
            if time.monotonic() - self._heard > self._seconds:
                self.expired = True
                self._process.kill()
                return
