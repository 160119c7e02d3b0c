# SPDX-License-Identifier: Apache-2.0
"""Measures a bundle on a board: every test with every number of threads on every set of cores."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeq.errors import EdgeqError
from edgeq.runtime.threads import check_threads, default_threads
from edgeq_devices.external.address import MeterAddress
from edgeq_devices.external.meter import Read, add_energy, open_meter
from edgeq_devices.facts import model_facts
from edgeq_devices.job import Job, Model, Test, plan
from edgeq_devices.remote import BusyBoardError
from edgeq_devices.results import Measurement, ModelFacts
from edgeq_devices.rows import Report
from edgeq_devices.session import Session, holder, open_session

IDLE_SECONDS = 2.0
BUSY_SECONDS = 0.5
LOADS, STRETCH, PAUSE = 6, (0.3, 1.2), 1.0  # of the load pattern; seconds
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        bundle: Directory of the bundle.
        prompts: Lengths of prompts; of sentences for an encoder.
        generates: Numbers of tokens to generate.
        depths: Tokens in the context before.
        threads: Numbers of threads; empty for one per physical core of the board.
        cores: Clusters of the board, ``all``, or lists such as ``0-3``.
        device: As ``--device`` names it.
        repetitions: Timed repetitions of each test.
        warmup: Run once untimed before.
        power: Measure energy: by the board's sensors, by a meter in its supply, or not.
        sustain_seconds: Repeat each test for at least this long.
        operators: Also record the time of each operator, which makes the runs slower.
        trace: Also fetch ONNX Runtime's whole trace.
        cool_down: Seconds to wait before a flagged row is measured once more; ``None``: it is not.
        library: Operators for the board's platform.
        python: Interpreter on the board.
        wait_seconds: How long to wait for a board on which somebody else measures.
    """

    bundle: Path
    prompts: tuple[int, ...] = (512,)
    generates: tuple[int, ...] = (128,)
    depths: tuple[int, ...] = (0,)
    threads: tuple[int, ...] = ()
    cores: tuple[str, ...] = ("all",)
    device: str = "local"
    repetitions: int = 5
    warmup: bool = True
    power: bool | MeterAddress = True
    sustain_seconds: float = 0.0
    operators: bool = False
    trace: bool = False
    cool_down: float | None = None
    library: Path | None = None
    python: str | None = None
    wait_seconds: float = 0.0

    def tests(self, facts: ModelFacts) -> list[Test]:
        """The tests, each of which fits the model.

        Raises:
            EdgeqError: There is none, or one does not fit the model's context.
        """
        tests = plan(list(self.prompts), list(self.generates), list(self.depths), encoder=facts.kind == "encoder")
        if not tests:
            raise EdgeqError("nothing to measure", field="-p and -n", found="0", wanted="at least one length above 0")
        for test in tests:
            test.check_fits(facts.context or sys.maxsize)
        return tests


def profile(request: Request, progress: Progress, measured: Callable[[Report], None] = lambda report: None) -> Report:
    """Carries out a request.

    Args:
        request: What to measure.
        progress: Told the stage, how much of it is done, and of how much.
        measured: Called with the report after each row: what is measured before a failure is not lost.

    Raises:
        EdgeqError: The bundle is damaged or does not fit, or the board cannot be reached or fails.
    """
    bundle, facts = model_facts(request.bundle)
    tests = request.tests(facts)
    for count in request.threads:
        check_threads(count)
    with ExitStack() as stack:
        read = _open_meter(request, stack)
        session = stack.enter_context(open_session(request.device, request.python))
        model = session.prepare(bundle, request.library, progress)
        report = Report(facts, request.device, session.kind, ())
        for job in _jobs(request, session, model, tests):
            row = _measure_again_if_flagged(session, job, request, progress)
            report = report.with_measurement(row)
            measured(report)
        if read is not None:
            report = _with_meter(report, request, read, progress)
            measured(report)
    return report


def _open_meter(request: Request, stack: ExitStack) -> Read | None:
    return stack.enter_context(open_meter(request.power)) if isinstance(request.power, MeterAddress) else None


def _with_meter(report: Report, request: Request, read: Read, progress: Progress) -> Report:
    """The rows with the energy that a meter in the supply recorded; its file may be written after the measurement."""
    assert isinstance(request.power, MeterAddress)
    stage, rows, end = f"reading {request.power.path}", [], time.monotonic() + request.power.wait
    for number, row in enumerate(report.measurements):
        progress(stage, number, len(report.measurements))
        left = max(0.0, end - time.monotonic())  # the recording is waited for once, not once for each row
        rows.append(add_energy(row, read, replace(request.power, wait=left)))
    progress(stage, len(rows), len(rows))
    return replace(report, measurements=tuple(rows))


def random_pattern(now_ns: int) -> tuple[float, ...]:
    """Rests and loads in turn, each of another length: no stretch of it, and no other pattern, looks the same."""
    generator = random.Random(now_ns)  # noqa: S311 - lengths, not secrets
    inner = [generator.uniform(*STRETCH) for _ in range(2 * LOADS - 1)]
    return (PAUSE, *inner, PAUSE)


def _jobs(request: Request, session: Session, model: Model, tests: list[Test]) -> Iterator[Job]:
    idle_seconds = IDLE_SECONDS if request.power else 0.0
    default = default_threads() if session.board.name == "local" else session.facts.cores
    for cores in request.cores:
        processors = session.processors(cores)
        for threads in request.threads or (len(processors) or default,):
            for test in tests:
                yield Job(
                    model,
                    test,
                    threads,
                    request.repetitions,
                    request.warmup,
                    processors=processors,
                    holder=holder(),
                    idle_seconds=idle_seconds,
                    sustain_seconds=request.sustain_seconds,
                    operators=request.operators,
                    trace=request.trace,
                    python=request.python,
                    lock=session.board.transport.lock,
                    rails=session.rails,
                    pattern=random_pattern(time.time_ns()) if isinstance(request.power, MeterAddress) else (),
                )


def _measure_again_if_flagged(session: Session, job: Job, request: Request, progress: Progress) -> Measurement:
    """A flagged row is measured once more, unless what flags it will not pass."""
    row, cool_down = _measure_when_free(session, job, request.wait_seconds, progress), request.cool_down
    if cool_down is None or not row.passing_flags:
        return row
    for second in range(math.ceil(cool_down)):
        progress(f"{job.name}: cooling down", second, math.ceil(cool_down))
        time.sleep(min(1.0, cool_down - second))
    progress(f"{job.name}: cooling down", math.ceil(cool_down), math.ceil(cool_down))
    return replace(_measure_when_free(session, job, request.wait_seconds, progress), attempts=2)


def _measure_when_free(session: Session, job: Job, seconds: float, progress: Progress) -> Measurement:
    end = time.monotonic() + seconds
    while True:
        try:
            return _measure(session, job, progress)
        except BusyBoardError:
            if time.monotonic() > end:
                raise
            time.sleep(BUSY_SECONDS)


def _measure(session: Session, job: Job, progress: Progress) -> Measurement:
    done = 0
    progress(job.name, 0, job.repetitions)

    def listen(event: dict[str, Any]) -> None:
        nonlocal done
        if event["event"] == "repetition":
            done += 1
            progress(job.name, done, max(done, job.repetitions))

    return session.measure(job, listen)
