# SPDX-License-Identifier: Apache-2.0
"""Measures jobs through the agent, on this machine or on a board, and collects what it reports."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from edgeq.errors import EdgeqError
from edgeq_devices.agent.watchdog import HEARTBEAT_SECONDS
from edgeq_devices.answers import number, parse_answer, read_lines, text
from edgeq_devices.board import Board
from edgeq_devices.job import Job
from edgeq_devices.silence import SILENCE_SECONDS, SilenceGuard
from edgeq_devices.transports.base import last_line, last_words, start

Event = dict[str, Any]
Listener = Callable[[Event], None]


class BusyBoardError(EdgeqError):
    """Somebody else is measuring on the board."""


def measure_events(board: Board, job: Job, listen: Listener = lambda event: None) -> list[Event]:
    """Runs a job; its events (:mod:`edgeq_devices.agent.supervisor`).

    Args:
        board: Where the job's model lies.
        job: What to measure.
        listen: Called with each event as it arrives.

    Raises:
        BusyBoardError: Somebody else is measuring there.
        EdgeqError: The connection was lost, or the measuring process failed there.
    """
    with (
        tempfile.TemporaryFile() as log,
        _agent(board, job, log) as process,
        SilenceGuard(process, SILENCE_SECONDS) as guard,
    ):
        assert process.stdout is not None
        events: list[Event] = []
        greeting = b""
        for line in read_lines(process.stdout, board.name):
            guard.heard()
            if not line.strip():
                continue  # a heartbeat
            if not events and not line.startswith(b"{"):
                greeting = greeting or line  # of a login shell
                continue
            event = parse_answer(line, board.name)
            if "error" in event:
                busy = event.get("busy") is True
                remedy = "try again when that has ended" if busy else None
                kind = BusyBoardError if busy else EdgeqError
                raise kind(text(event, "error", board.name), field=board.name, remedy=remedy)
            text(event, "event", board.name)
            events.append(event)
            listen(event)
        code = process.wait()
        if guard.expired:
            raise guard.error(board.name)
        if greeting and not events and not code:
            parse_answer(greeting, board.name)  # says that it is none
        _check_end(board, job, events, code, log)
        return events


@contextmanager
def _agent(board: Board, job: Job, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The agent with its job; it ends by itself when its stdin closes, however this block is left."""
    process = start(board.transport, board.command("measure"), log)
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(process, job, stop), daemon=True)
    beat.start()
    try:
        yield process
    finally:
        stop.set()
        beat.join()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # it has ended already
            process.stdin.close()
        process.stdout.close()  # whoever still writes is told so
        try:
            process.wait(HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _beat(process: subprocess.Popen[bytes], job: Job, stop: threading.Event) -> None:
    assert process.stdin is not None
    message = job.to_json().encode() + b"\n"
    try:
        while True:
            process.stdin.write(message)
            process.stdin.flush()
            message = b"\n"
            if stop.wait(HEARTBEAT_SECONDS):
                return
    except OSError:
        return  # the connection is gone; whoever reads it will notice


def _check_end(board: Board, job: Job, events: list[Event], code: int, log: IO[bytes]) -> None:
    mistake = next((event for event in events if event["event"] == "error"), None)
    if mistake is not None:
        raise EdgeqError(text(mistake, "message", board.name), field=_field(board))
    ended = next((event for event in events if event["event"] == "ended"), None)
    words = last_words(log)
    if ended is not None:
        raise _ended(board, job, int(number(ended, "code", board.name)), last_line(words))
    if code or not any(event["event"] == "done" for event in events):
        raise board.transport.explain(code, words) or _ended(board, job, code, last_line(words))


def _field(board: Board) -> str | None:
    return None if board.name == "local" else board.name


def _ended(board: Board, job: Job, code: int, words: str) -> EdgeqError:
    killed = code in (-9, 137)
    reason = "SIGKILL" if killed else f"signal {-code}" if code < 0 else f"exit code {code}"
    return EdgeqError(
        "the measuring process ended without a result",
        file=job.bundle,
        field=job.test.name if board.name == "local" else f"{board.name}: {job.test.name}",
        found=f"{reason}: {words}",
        remedy="it may have run out of memory" if killed else None,
    )
