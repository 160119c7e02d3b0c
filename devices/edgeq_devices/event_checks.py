# SPDX-License-Identifier: Apache-2.0
"""Do a board's events make up a measurement? Each is sound by itself; here they are held against each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from edgeq.errors import EdgeqError
from edgeq_devices.events import (
    AnyEvent,
    Done,
    Idle,
    Loaded,
    Loads,
    Operators,
    Power,
    Repetition,
    Rest,
    State,
    Trace,
)
from edgeq_devices.job import Job
from edgeq_devices.measure import Timing
from edgeq_devices.power.window import Window

Kind = TypeVar("Kind")


class Frame(NamedTuple):
    """The events that every measurement has once."""

    loaded: Loaded
    done: Done
    before: State
    after: State


def frame_of(job: Job, events: Sequence[AnyEvent], device: str) -> Frame:
    """The events around the repetitions, after all have been checked.

    Raises:
        EdgeqError: An event is missing, is there twice, or contradicts another.
    """
    problem = next(_problems(job, events), None)
    if problem is not None:
        raise EdgeqError("the board's events make no measurement", field=f"{device}: {job.name}", found=problem)
    loaded, done = _of(Loaded, events)[0], _of(Done, events)[0]
    before, after = sorted(_of(State, events), key=lambda state: state.when != "before")
    return Frame(loaded, done, before, after)


def _problems(job: Job, events: Sequence[AnyEvent]) -> Iterator[str]:
    for kind in (Loaded, Done):
        if (count := len(_of(kind, events))) != 1:
            yield f"{count} events of kind {kind.__name__.lower()}"
    if sorted(state.when for state in _of(State, events)) != ["after", "before"]:
        yield "other conditions than those before and after"
    if job.operators and not _of(Operators, events):
        yield "no times of operators"
    if job.trace and not _of(Trace, events):
        yield "no trace"
    repetitions = _of(Repetition, events)
    if len(repetitions) < job.repetitions:
        yield f"{len(repetitions)} repetitions of {job.repetitions}"
    for repetition in repetitions:
        yield from _timing_problems(job, repetition.timing)
    yield from _power_problems(events)
    yield from _pattern_problems(job, events)


def _timing_problems(job: Job, timing: Timing) -> Iterator[str]:
    if len(timing.token_ends_ns) != job.test.generate:
        yield f"times of {len(timing.token_ends_ns)} tokens"
    times = (timing.start_ns, timing.prompt_end_ns, *timing.token_ends_ns)
    if any(later < earlier for earlier, later in itertools.pairwise(times)) or timing.ns <= 0:
        yield "times that do not ascend"


def _power_problems(events: Sequence[AnyEvent]) -> Iterator[str]:
    sources = [power.source for power in _of(Power, events)]
    rails = {rail.name for source in sources if source for rail in source.rails}
    windows = [idle.window for idle in _of(Idle, events)]
    windows += [window for run in _of(Repetition, events) if run.energy for window in _phases(run)]
    windows += [loaded.energy for loaded in _of(Loaded, events) if loaded.energy]
    if len(sources) > 1 or (windows and not rails):
        yield f"energy from {len(sources)} sources"
    if any(set(window.joules) != rails and not window.fault for window in windows):
        yield "energy of other rails than the source has"
    if any(window.seconds < 0 or window.samples < 0 for window in windows):
        yield "energy in less than no time"


def _pattern_problems(job: Job, events: Sequence[AnyEvent]) -> Iterator[str]:
    loads, rests = _of(Loads, events), _of(Rest, events)
    if (len(loads), len(rests)) != ((1, 2) if job.pattern else (0, 0)):
        yield f"{len(loads)} load patterns and {len(rests)} rests"
    for pattern in loads:
        times = [time for span in pattern.spans for time in span]
        if len(times) != len(job.pattern) - 1 or any(later <= earlier for earlier, later in itertools.pairwise(times)):
            yield "another load pattern than asked for"
    if any(rest.end_ns <= rest.start_ns for rest in rests):
        yield "a rest of no time"


def _phases(run: Repetition) -> tuple[Window, Window]:
    assert run.energy is not None
    return run.energy.prompt, run.energy.generate


def _of(kind: type[Kind], events: Sequence[AnyEvent]) -> list[Kind]:
    return [event for event in events if isinstance(event, kind)]
