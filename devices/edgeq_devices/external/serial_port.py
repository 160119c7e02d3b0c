# SPDX-License-Identifier: Apache-2.0
"""A meter on a serial port, read from a thread as its lines arrive."""

from __future__ import annotations

import os
import select
import termios
import threading
import time
import tty
from collections.abc import Sequence
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq_devices.answers import printable
from edgeq_devices.background import Background
from edgeq_devices.external.lines import LineParser
from edgeq_devices.external.recording import Recording, of_samples

LONGEST_LINE = 1000  # bytes
MOST_WRONG = 0.1  # part of the lines
_POLL = 0.2  # seconds


class SerialPort(Background):
    """Samples of a meter between entering and leaving the ``with`` block.

    Lines without a time get that of their arrival.

    Args:
        path: Of the port.
        baud: Bits per second.
        columns: Names of the columns; see :class:`LineParser`.

    Raises:
        EdgeqError: The port cannot be opened, or does not know the speed.
    """

    def __init__(self, path: Path, baud: int, columns: Sequence[str] = ()) -> None:
        super().__init__()
        self.path, self._parser = path, LineParser(columns)
        self._samples: list[tuple[float, float]] = []
        self._pending = b""
        self._arrived = time.monotonic()
        self._fault: str | None = None
        self._lock = threading.Lock()
        self._descriptor = _open(path, baud)

    def _close(self) -> None:
        os.close(self._descriptor)

    def recording(self) -> Recording:
        """What has arrived so far.

        Raises:
            EdgeqError: It is no stream of samples, or the port failed.
        """
        with self._lock:
            samples, parser = list(self._samples), self._parser
        if self._fault:
            raise EdgeqError("the meter failed", file=self.path, found=self._fault)
        if not samples and not parser.wrong:
            remedy = "is its speed right? give ?baud=…"
            raise EdgeqError("nothing comes from the meter", file=self.path, remedy=remedy)
        if parser.wrong - 1 > MOST_WRONG * len(samples):  # the first line may be the end of one
            found, wanted = printable(repr(parser.example)), "numbers; name them with ?columns=voltage_v,current_a"
            raise EdgeqError("the meter's lines cannot be read", file=self.path, found=found, wanted=wanted)
        return of_samples(samples, self.path)

    def _run(self) -> None:
        while not self._stop.is_set() and not self._fault:
            ready, _, _ = select.select([self._descriptor], [], [], _POLL)
            if not ready:
                continue
            try:
                self._take(os.read(self._descriptor, 65536))
            except OSError as error:
                self._fault = str(error.strerror)

    def _take(self, received: bytes) -> None:
        now = time.monotonic()
        if not received:
            self._fault = "it was unplugged"
            return
        *lines, self._pending = (self._pending + received).split(b"\n")
        if len(self._pending) > LONGEST_LINE:
            self._fault = f"no line ends within {LONGEST_LINE} bytes; is its speed right? give ?baud=…"
            return
        with self._lock:
            for number, line in enumerate(lines, 1):
                # Lines that arrive at once were spread over the time since those before.
                arrived = self._arrived + (now - self._arrived) * number / len(lines)
                sample = self._parser.parse(line[:LONGEST_LINE].decode(errors="replace"))
                if sample is not None:
                    self._samples.append((arrived if sample[0] is None else sample[0], sample[1]))
        if lines:
            self._arrived = now


def _open(path: Path, baud: int) -> int:
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise EdgeqError("unknown speed", file=path, field="baud", found=baud, wanted="such as 9600 or 115200")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        remedy = "sudo usermod -aG dialout $USER, then log in again" if isinstance(error, PermissionError) else None
        raise EdgeqError("cannot be opened", file=path, found=error.strerror, remedy=remedy) from error
    try:
        tty.setraw(descriptor)
        settings = termios.tcgetattr(descriptor)
        settings[4] = settings[5] = speed
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, settings)
    except termios.error as error:
        os.close(descriptor)
        raise EdgeqError("not a serial port", file=path, found=str(error.args[-1])) from error
    return descriptor
