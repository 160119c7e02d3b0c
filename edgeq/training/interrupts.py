# SPDX-License-Identifier: Apache-2.0
"""An interrupt that waits for the end of the step, so that what is saved is a whole number of steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether the training was asked to stop; a second signal stops it at once."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal.

        Raises:
            KeyboardInterrupt: It is the second one.
        """
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def delayed_interrupts() -> Iterator[Interrupt]:
    """Collects SIGINT and SIGTERM; outside the main thread, where Python takes no signals, none comes."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupt.ask) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
