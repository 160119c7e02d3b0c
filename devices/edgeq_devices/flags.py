# SPDX-License-Identifier: Apache-2.0
"""Reasons to distrust a measurement: it is printed with them, and kept out of means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeq_devices.events import Done, Idle, Repetition, State

OTHER_LOAD_LIMIT = 0.05
"""Share of the machine that other processes may use."""
CLOCK_DROP_LIMIT = 0.05
"""Part of its highest clock that a core may lose during a run."""


def find_flags(
    before: State, after: State, done: Done, repetitions: Sequence[Repetition], idle: Sequence[Idle]
) -> list[str]:
    """All reasons, in words."""
    return [*_load(before, done), *_throttling(before, after), *_extremes(after), *_power(repetitions, idle)]


def _load(before: State, done: Done) -> Iterator[str]:
    processors, others = before.state.processors, done.other_processors
    if others is not None and others > OTHER_LOAD_LIMIT * (processors or 1):
        yield f"other processes kept {others:.2f} of {processors or '?'} processors busy"


def _throttling(before: State, after: State) -> Iterator[str]:
    for condition in after.throttling.since(before.throttling) or []:
        yield f"the machine slowed itself down: {condition}"


def _extremes(after: State) -> Iterator[str]:
    seen = after.extremes
    if seen is None:
        return
    for domain, fastest in seen.fastest.items():
        lost = 1 - seen.slowest.get(domain, fastest) / fastest if fastest else 0.0
        if lost > CLOCK_DROP_LIMIT:
            yield f"the clock of {domain} fell by {lost:.0%} from {fastest / 1000:.0f} MHz"
    for zone, margin in seen.margins.items():
        if margin <= 0:
            yield f"{zone} came within 5 °C of its trip point"
    if seen.pages_swapped_in:
        yield f"{seen.pages_swapped_in} pages were swapped in"


def _power(repetitions: Sequence[Repetition], idle: Sequence[Idle]) -> Iterator[str]:
    windows = [entry.window for entry in idle]
    windows += [w for run in repetitions if run.energy for w in (run.energy.prompt, run.energy.generate) if w.seconds]
    # Of windows with few samples the worst stands for the others: a sustained run has thousands.
    few = [window for window in windows if window.is_short]
    yield from dict.fromkeys(flag for window in windows if not window.is_short for flag in window.flags())
    if few:
        (flag,) = min(few, key=lambda window: window.samples).flags()
        yield flag + (f" ({len(few)} of {len(windows)} windows have fewer)" if len(few) > 1 else "")
