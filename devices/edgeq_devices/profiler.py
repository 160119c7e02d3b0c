# SPDX-License-Identifier: Apache-2.0
"""Runs each job in a fresh process on this machine and collects what it reports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, Any

from edgeq.errors import EdgeqError
from edgeq_devices.job import Job
from edgeq_devices.memory import Memory, PeakSampler
from edgeq_devices.results import Measurement

WORKER = (sys.executable, "-m", "edgeq_devices.local")
Listener = Callable[[dict[str, Any]], None]


def measure_job(job: Job, listen: Listener = lambda event: None, worker: Sequence[str] = WORKER) -> Measurement:
    """Measures one job in a process of its own, so that its load time and memory peaks are its own.

    Args:
        job: What to measure.
        listen: Called with each event of the worker (see :mod:`edgeq_devices.worker`) as it arrives.
        worker: Command line of the worker.

    Raises:
        EdgeqError: The worker reported an error, or ended without a result.
    """
    with tempfile.TemporaryFile("w+") as log, _start(worker, log) as process:
        try:
            with PeakSampler(process.pid) as sampler:
                _send(process, job)
                events = _read_events(process, listen)
        except BaseException:
            process.kill()  # Ctrl-C or a broken worker: leave no process behind
            raise
        if process.wait() or not events or events[-1]["event"] != "done":
            raise _failure(job, process.returncode, events, log)
    return _measurement(job, events, sampler.peak)


def _start(worker: Sequence[str], log: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)


def _send(process: subprocess.Popen[str], job: Job) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(job.to_json() + "\n")
        process.stdin.close()
    except BrokenPipeError:
        return  # it ended at once; its exit code and log say why


def _read_events(process: subprocess.Popen[str], listen: Listener) -> list[dict[str, Any]]:
    assert process.stdout is not None
    events = []
    for line in process.stdout:
        try:
            event = json.loads(line)
            event["event"] = str(event["event"])
        except (ValueError, KeyError, TypeError) as error:
            raise EdgeqError(
                "the measuring process printed something else than events", found=repr(line[:80])
            ) from error
        events.append(event)
        listen(event)
    return events


def _failure(job: Job, code: int, events: list[dict[str, Any]], log: IO[str]) -> EdgeqError:
    if events and events[-1]["event"] == "error":
        return EdgeqError(str(events[-1]["message"]))
    log.seek(0)
    last_words = log.read().strip().splitlines()[-1:]
    reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    remedy = "it may have run out of memory" if reason == "SIGKILL" else None
    found = ": ".join([reason, *last_words])
    return EdgeqError(
        "the measuring process ended without a result", file=job.bundle, field=job.test.name, found=found, remedy=remedy
    )


def _measurement(job: Job, events: list[dict[str, Any]], sampled: Memory | None) -> Measurement:
    loaded, done = events[0], events[-1]
    peak = Memory(**done["peak"])
    return Measurement(
        job=job,
        samples_ns=tuple(event["ns"] for event in events if event["event"] == "repetition"),
        load_ns=loaded["load_ns"],
        memory_before=Memory(**loaded["before"]),
        memory_loaded=Memory(**loaded["after"]),
        memory_peak=peak.maximum(sampled) if sampled else peak,
        instruction_set=loaded["instruction_set"],
        other_processors=done["other_processors"],
    )
