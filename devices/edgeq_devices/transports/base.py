# SPDX-License-Identifier: Apache-2.0
"""What a transport is, and how commands run through one."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import IO, Protocol

from edgeq.errors import EdgeqError
from edgeq_devices.answers import printable
from edgeq_devices.transports.capture import LOG_BYTES, OUTPUT_BYTES, TooMuchOutputError, capture

CONNECT_SECONDS = 10
COMMAND_SECONDS = 60.0


class Transport(Protocol):
    """A way to run commands on a board.

    Attributes:
        name: As the user wrote it.
        root: Directory of edgeq's files on the board; relative to where its commands start.
        lock: File there that all measurements lock, whoever's they are; empty for one in ``root``.
    """

    name: str
    root: str
    lock: str

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command of this machine that runs ``argv`` on the board, with its standard streams and exit code."""

    def explain(self, code: int, stderr: str) -> EdgeqError | None:
        """The error that a failed connection means; ``None`` if the connection was not what failed."""

    def close(self) -> None:
        """Ends the connection."""


def run(
    transport: Transport,
    argv: Sequence[str],
    stdin: bytes = b"",
    timeout: float = COMMAND_SECONDS,
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command on the board to its end.

    Raises:
        EdgeqError: The connection failed, the time ran out, or the board sent too much.
            An exit code of the command itself is for the caller.
    """
    command = transport.command(argv)
    try:
        done = capture(command, stdin, timeout)
    except TooMuchOutputError:
        found = f"more than {OUTPUT_BYTES} bytes"
        raise EdgeqError("the board sends too much", field=transport.name, found=found, wanted="an answer") from None
    except subprocess.TimeoutExpired as error:
        raise EdgeqError(
            "the board does not answer", field=transport.name, found=f"no end of {argv[0]} after {timeout:.0f} s"
        ) from error
    except OSError as error:
        raise EdgeqError("cannot start", field=transport.name, found=str(error)) from error
    if done.returncode and (failure := transport.explain(done.returncode, done.stderr.decode(errors="replace"))):
        raise failure
    return done


def start(transport: Transport, argv: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Starts a command on the board whose streams the caller reads and writes; stderr goes to ``log``.

    Raises:
        EdgeqError: This machine cannot start the transport's program.
    """
    try:
        return subprocess.Popen(transport.command(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    except OSError as error:
        raise EdgeqError("cannot start", field=transport.name, found=str(error)) from error


def last_line(text: str) -> str:
    """The last line that says something, as printable text; the rest is banners and warnings."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(lines[-1][:300]) if lines else "no message"


def last_words(log: IO[bytes]) -> str:
    """The end of what a command wrote to its stderr."""
    end = log.seek(0, 2)
    log.seek(max(0, end - LOG_BYTES))
    return log.read().decode(errors="replace")
