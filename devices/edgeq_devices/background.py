# SPDX-License-Identifier: Apache-2.0
"""A thread that runs as long as a ``with`` block does. Standard library only."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """Runs `_run` in a thread between entering and leaving the ``with`` block.

    Attributes:
        _stop: Set when the block is left; `_run` returns soon after.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._close()

    @abstractmethod
    def _run(self) -> None:
        """What the thread does until `_stop` is set."""

    def _close(self) -> None:
        """Called when the thread has ended."""
        return
