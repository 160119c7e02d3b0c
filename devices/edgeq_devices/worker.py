# SPDX-License-Identifier: Apache-2.0
"""The process that measures one job: reads a job as JSON from stdin, writes events as JSON lines to stdout.

Events, in order: ``loaded`` (load_ns, start_ns, end_ns; before, after: memory; instruction_set, hashes),
``repetition`` (timing) for each repetition, ``operators`` and ``trace`` if asked for
(:mod:`edgeq_devices.agent.operators`), ``done`` (peak: memory; other_processors); or ``error`` (message) at any point.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from edgeq.errors import EdgeqError
from edgeq_devices.agent import operators
from edgeq_devices.agent.hashes import program_hashes
from edgeq_devices.cpu import read_cpu_time
from edgeq_devices.job import Job
from edgeq_devices.measure import Model, measure
from edgeq_devices.memory import read_memory


class LoadedModel(Model, Protocol):
    """A model that knows which kernels it runs.

    Attributes:
        instruction_set: Chosen by the operator library; ``None`` if the model needs none.
    """

    instruction_set: str | None

    def end_profiling(self) -> Path:
        """The file of ONNX Runtime's trace; the caller deletes it."""


Load = Callable[[Job], LoadedModel]
Emit = Callable[[dict[str, Any]], None]


def run(job: Job, load: Load, emit: Emit) -> None:
    """Measures a job, reporting each event as soon as it happens."""
    before = read_memory()
    start = time.monotonic_ns()
    model = load(job)
    end = time.monotonic_ns()
    loaded = {
        "load_ns": end - start,
        "start_ns": start,
        "end_ns": end,
        "before": asdict(before),
        "after": asdict(read_memory()),
    }
    hashes = program_hashes(job.model.library)
    emit({"event": "loaded", **loaded, "instruction_set": model.instruction_set, "hashes": hashes})
    earlier, start = read_cpu_time(), time.perf_counter_ns()
    timings = measure(model, job.test, job.repetitions, warmup=job.warmup, seed=job.seed, seconds=job.sustain_seconds)
    for timing in timings:
        emit({"event": "repetition", "timing": asdict(timing)})
    seconds, later = (time.perf_counter_ns() - start) / 1e9, read_cpu_time()
    others = (later - earlier).others / seconds if later and earlier else None
    if job.operators:
        _emit_operators(model.end_profiling(), job, emit)
    emit({"event": "done", "peak": asdict(read_memory()), "other_processors": others})


def _emit_operators(trace: Path, job: Job, emit: Emit) -> None:
    try:
        for event in operators.events(trace, whole=job.trace):
            emit(event)
    finally:
        trace.unlink()


def _emit_line(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(load: Load) -> int:
    """Runs the job given on stdin; failures that the user can mend become an ``error`` event and exit code 2."""
    try:
        run(Job.from_json(sys.stdin.readline()), load, _emit_line)
    except EdgeqError as error:
        _emit_line({"event": "error", "message": str(error)})
        return 2
    return 0
