# SPDX-License-Identifier: Apache-2.0
"""Energy of a recording, given to a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.event_checks import frame_of
from edgeq_devices.events import AnyEvent, Done, Loaded, Loads, Repetition, Rest, Series, State
from edgeq_devices.external.address import MeterAddress
from edgeq_devices.external.meter import add_energy, open_meter, with_recording
from edgeq_devices.external.recording import Recording
from edgeq_devices.job import Job, Model, Test
from edgeq_devices.measure import Timing
from edgeq_devices.memory import Memory
from edgeq_devices.results import Measurement
from tests.devices.external.recorded import LOADS
from tests.devices.test_tables import CONDITIONS, state

OFFSET = 40.0
LOADING, PROMPT, GENERATION, END = 115.0, 117.0, 119.0, 123.0  # seconds of the board's clock
PATTERN = (1.0, 1.1, 0.7, 0.5, 1.2, 0.5, 0.3, 0.9, 1.0)
MEMORY = Memory(0, 0, 0, 0)


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


@pytest.fixture
def measured() -> Measurement:
    """Rest at 2 W, loading at 5 W, a prompt at 9 W, generation at 6 W."""
    timing = Timing(ns(PROMPT), ns(GENERATION), (ns(121.0), ns(END)))
    series = Series(
        time_ns=[ns(118.0), ns(119.0), ns(120.0)], temperature=[None] * 3, clock=[None] * 3, watts=[None] * 3
    )
    return Measurement(
        Job(Model("bundle"), Test(prompt=4, generate=2), threads=1, repetitions=1, pattern=PATTERN),
        Loaded(load_ns=ns(2), before=MEMORY, after=MEMORY, start_ns=ns(LOADING), end_ns=ns(PROMPT)),
        (Repetition(timing=timing),),
        Done(peak=MEMORY),
        state("before"),
        state("after", series=series),
        loads=Loads(spans=tuple((ns(start), ns(end)) for start, end in LOADS)),
        rests=(Rest(start_ns=ns(112.0), end_ns=ns(114.0)), Rest(start_ns=ns(124.0), end_ns=ns(126.0))),
    )


def recording() -> Recording:
    times = np.arange(100.0, 130.0, 0.01)
    watts = np.full(len(times), 2.0)
    phases = [(LOADING, PROMPT, 5.0), (PROMPT, GENERATION, 9.0), (GENERATION, END, 6.0)]
    for start, end, power in [*((start, end, 7.0) for start, end in LOADS), *phases]:
        watts[(times >= start) & (times < end)] = power
    return Recording(times - OFFSET, watts)


def test_every_phase_has_its_power(measured: Measurement) -> None:
    row = with_recording(measured, recording(), "meter.csv")
    energy = row.energy
    assert energy is not None
    found = (energy.load_watts, energy.prompt_watts, energy.token_watts, *energy.idle_watts)
    assert found == pytest.approx((5.0, 9.0, 6.0, 2.0, 2.0), rel=0.02)
    assert energy.token_net_joules == pytest.approx(8.0, rel=0.02)
    assert energy.source == "external meter meter.csv"
    assert "correlation 1.00" in energy.uncertainty or "correlation 0.9" in energy.uncertainty
    assert row.after.series is not None
    assert row.after.series.watts == [None, pytest.approx(9.0, rel=0.02), pytest.approx(6.0, rel=0.02)]
    assert row.flags == []


def test_a_recording_that_ends_early_leaves_a_reason(measured: Measurement, tmp_path: Path) -> None:
    whole = recording()
    short = Recording(whole.seconds[:-600], whole.watts[:-600])
    row = add_energy(measured, lambda: short, MeterAddress(tmp_path / "m.csv", wait=0.0))
    assert row.energy is None
    assert row.power is not None
    assert "the recording does not cover the measurement" in str(row.power.reason)


def test_a_recording_that_is_written_later_is_waited_for(measured: Measurement, tmp_path: Path) -> None:
    path, whole = tmp_path / "meter.csv", recording()
    waited = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        rows = [f"{time},{watts}" for time, watts in zip(whole.seconds, whole.watts, strict=True)]
        path.write_text("\n".join(["time_s,power_w", *(rows if len(waited) > 1 else rows[:500])]))

    address = MeterAddress(path)
    with open_meter(address) as read:
        row = add_energy(measured, read, address, wait)
    assert row.energy is not None
    assert waited == [1.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([Rest(start_ns=5, end_ns=5)], "1 load patterns and 3 rests"),
        ([Loads(spans=())], "2 load patterns and 2 rests"),
    ],
)
def test_events_must_make_up_the_pattern(measured: Measurement, changes: Sequence[AnyEvent], problem: str) -> None:
    assert measured.loads is not None
    events = [
        measured.loaded,
        *measured.repetitions,
        measured.done,
        State(when="before", state=CONDITIONS, throttling=measured.before.throttling),
        measured.after,
        measured.loads,
        *measured.rests,
    ]
    frame_of(measured.job, events, "board")
    with pytest.raises(EdgeqError, match=problem):
        frame_of(measured.job, [*events, *changes], "board")
    with pytest.raises(EdgeqError, match="1 load patterns and 2 rests"):
        frame_of(replace(measured.job, pattern=()), events, "board")
    with pytest.raises(EdgeqError, match="another load pattern"):
        frame_of(replace(measured.job, pattern=PATTERN[2:]), events, "board")
