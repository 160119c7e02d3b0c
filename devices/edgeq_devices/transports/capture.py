# SPDX-License-Identifier: Apache-2.0
"""A command run to its end, whose output and time are bounded: what answers may be broken or hostile."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

OUTPUT_BYTES = 64 << 20
"""More than any answer of the agent."""
LOG_BYTES = 16 << 10
BLOCK = 64 << 10


class TooMuchOutputError(Exception):
    """The command wrote more than `OUTPUT_BYTES`; it was ended."""


def capture(command: Sequence[str], stdin: bytes, timeout: float) -> subprocess.CompletedProcess[bytes]:
    """Runs a command; all of its stdout, and the end of its stderr.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It ran for longer than ``timeout`` seconds and was ended.
        TooMuchOutputError: As it says.
    """
    pipe = subprocess.PIPE
    # Unbuffered: closing a buffered stream would wait for the thread that reads it.
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        output, log = _Reader(process, process.stdout, OUTPUT_BYTES), _Reader(process, process.stderr, None)
        writer = threading.Thread(target=_write, args=(process.stdin, stdin), daemon=True)
        writer.start()
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            raise
        finally:
            for thread in (writer, output.thread, log.thread):
                thread.join(1.0)  # a grandchild may still hold a pipe open
    if output.overflow:
        raise TooMuchOutputError
    return subprocess.CompletedProcess(command, code, bytes(output.content), bytes(log.content))


class _Reader:
    """Drains a pipe from a thread; over ``limit`` bytes the process is ended, without one the last of them are kept."""

    def __init__(self, process: subprocess.Popen[bytes], stream: IO[bytes], limit: int | None) -> None:
        self.content, self.overflow = bytearray(), False
        self._process, self._stream, self._limit = process, stream, limit
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with suppress(OSError, ValueError):  # closed under our hands
            while block := self._stream.read(BLOCK):
                self.content += block
                if self._limit is None:
                    del self.content[:-LOG_BYTES]
                elif len(self.content) > self._limit:
                    self.overflow = True
                    self._process.kill()
                    return


def _write(stream: IO[bytes], content: bytes) -> None:
    with suppress(OSError, ValueError):  # it ended without reading all
        rest = memoryview(content)
        while rest:
            rest = rest[stream.write(rest) :]
        stream.close()
