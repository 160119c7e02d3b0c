# SPDX-License-Identifier: Apache-2.0
"""One measurement on the board: the lock, the process that runs the model, power, conditions, and the way out.

Events, in order: ``conditions`` (before), ``power`` (the source, or why there is none), ``idle`` (with a power source),
the worker's own (:mod:`edgeq_devices.worker`), loading and repetitions with their energy, ``idle``, ``conditions``
(after). For a meter in the supply, which the host reads, ``loads`` (its pattern) and ``rest`` stand for power and idle.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from edgeq_devices.agent.lock import hold
from edgeq_devices.agent.monitor import INTERVAL, MOST_SAMPLES, Monitor
from edgeq_devices.agent.pattern import run_pattern
from edgeq_devices.agent.watchdog import watch
from edgeq_devices.conditions import read_conditions
from edgeq_devices.job import Job
from edgeq_devices.memory import PeakSampler
from edgeq_devices.power.detect import choose, find_sources, why_no_energy
from edgeq_devices.power.meter import Meter
from edgeq_devices.throttle import read_throttling

LOST = 3
"""Exit code of an agent whose host has gone."""
Emit = Callable[[dict[str, Any]], None]
Started = Callable[[subprocess.Popen[str]], object]


def supervise(root: Path, stdin: BinaryIO, emit: Emit) -> None:
    """Measures the job on the first line of ``stdin``; the rest of it are heartbeats.

    Raises:
        BusyError: Another measurement runs on this board.
    """
    job = Job.from_json(_read_line(stdin))
    supervise_job(root, job, emit, lambda worker: watch(stdin, lambda reason: _abandon(worker, reason)))


def supervise_job(root: Path, job: Job, emit: Emit, started: Started = lambda worker: None) -> None:
    """Measures a job.

    Args:
        root: edgeq's directory on the board.
        job: What to measure.
        emit: Called with each event.
        started: Called with the process that runs the model.

    Raises:
        BusyError: Another measurement runs on this board.
    """
    with hold(_lock(root, job), job.holder), ExitStack() as stack:
        worker = _start_worker(root, job, stack)
        started(worker)
        emit(_conditions("before"))
        if job.pattern:
            emit({"event": "loads", "spans": run_pattern(root, job.pattern)})
        meter = _open_meter(job, emit, stack)
        _measure_idle(job, meter, emit)
        interval = max(INTERVAL, job.sustain_seconds / MOST_SAMPLES)
        monitor = Monitor(interval=interval, processors=frozenset(job.processors))
        for event in _run(worker, job, monitor):
            emit(_with_energy(event, meter))
        _measure_idle(job, meter, emit)
        series = {**asdict(monitor.series), "watts": _watts(meter, monitor.series.time_ns)}
        emit({**_conditions("after"), "extremes": asdict(monitor.extremes), "series": series})


def _lock(root: Path, job: Job) -> Path:
    shared = Path(job.lock)
    return shared if job.lock and os.access(shared.parent, os.W_OK | os.X_OK) else root / "lock"


def _read_line(stream: BinaryIO) -> str:
    """A line and nothing more: what follows is for the watchdog, which reads the descriptor itself."""
    line = bytearray()
    while (byte := os.read(stream.fileno(), 1)) not in (b"", b"\n"):
        line += byte
    return line.decode()


def _start_worker(root: Path, job: Job, stack: ExitStack) -> subprocess.Popen[str]:
    # Its stderr is the agent's own: the host shows the last line of it when something goes wrong.
    command = [job.python or sys.executable, sys.argv[0], "work", str(root)]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    stack.callback(_end, worker)
    return worker


def _end(worker: subprocess.Popen[str]) -> None:
    if worker.poll() is None:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _abandon(worker: subprocess.Popen[str], reason: str) -> None:
    """Nobody is left to tell: stop the work, leave nothing behind."""
    sys.stderr.write(f"edgeq agent: {reason}; measurement ended\n")
    _end(worker)
    os._exit(LOST)


def _open_meter(job: Job, emit: Emit, stack: ExitStack) -> Meter | None:
    if not job.idle_seconds or job.pattern:
        return None
    readable, missing = find_sources()
    if not readable:
        emit({"event": "power", "source": None, "reason": why_no_energy(missing)})
        return None
    chosen = choose(readable, job.rails)
    for unused in readable:
        if unused is not chosen:
            unused.close()
    meter = stack.enter_context(Meter(chosen, job.rails))
    description = asdict(meter.description)
    emit({"event": "power", "source": {**description, "quantity": meter.description.quantity.value}, "reason": None})
    return meter


def _measure_idle(job: Job, meter: Meter | None, emit: Emit) -> None:
    if job.pattern:
        start_ns = time.monotonic_ns()
        time.sleep(job.idle_seconds)
        emit({"event": "rest", "start_ns": start_ns, "end_ns": time.monotonic_ns()})
    elif meter is not None:
        start = meter.read()
        time.sleep(job.idle_seconds)
        emit({"event": "idle", "window": asdict(meter.read() - start)})


def _run(worker: subprocess.Popen[str], job: Job, monitor: Monitor) -> Iterator[dict[str, Any]]:
    """The worker's events; memory is sampled over its life, the machine while the repetitions run."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    with PeakSampler(worker.pid) as sampler, monitor:
        try:
            worker.stdin.write(job.to_json() + "\n")
            worker.stdin.close()
        except BrokenPipeError:
            pass  # it ended at once; its exit code says why
        for line in worker.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == "loaded":
                monitor.start()
            elif event["event"] == "done":
                monitor.stop()
                event["sampled_peak"] = asdict(sampler.peak) if sampler.peak else None
            yield event
    code = worker.wait()
    if code:
        yield {"event": "ended", "code": code}


def _with_energy(event: dict[str, Any], meter: Meter | None) -> dict[str, Any]:
    if meter is not None and event["event"] == "loaded":
        return {**event, "energy": asdict(meter.at(event["end_ns"]) - meter.at(event["start_ns"]))}
    if meter is None or event["event"] != "repetition":
        return event
    timing = event["timing"]
    start, prompt_end = meter.at(timing["start_ns"]), meter.at(timing["prompt_end_ns"])
    end = meter.at(timing["token_ends_ns"][-1]) if timing["token_ends_ns"] else prompt_end
    return {**event, "energy": {"prompt": asdict(prompt_end - start), "generate": asdict(end - prompt_end)}}


def _watts(meter: Meter | None, times: list[int]) -> list[float | None]:
    """Mean power up to each time since the one before."""
    if meter is None or not times:
        return [None] * len(times)
    readings = [meter.at(time_ns) for time_ns in times]
    windows = [later - earlier for earlier, later in itertools.pairwise(readings)]
    totals = [(window.total(meter.description), window.seconds) for window in windows]
    return [None, *(None if joules is None or not seconds else joules / seconds for joules, seconds in totals)]


def _conditions(when: str) -> dict[str, Any]:
    throttling = read_throttling()
    state = {**asdict(throttling), "active": sorted(throttling.active)}
    return {"event": "conditions", "when": when, "state": asdict(read_conditions()), "throttling": state}
