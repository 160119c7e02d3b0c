# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.events import AnyEvent, Idle, PhaseEnergy, Power, Repetition
from edgeq_devices.job import Test
from edgeq_devices.measure import Timing
from edgeq_devices.power.window import Window
from edgeq_devices.results import Measurement
from tests.devices.test_tables import SENSOR, measured

GOOD = measured(Test(prompt=8, generate=2), (1000, 1200))
POWER = Power(source=SENSOR, reason=None)


def events() -> list[AnyEvent]:
    return [GOOD.before, GOOD.loaded, *GOOD.repetitions, GOOD.done, GOOD.after]


def test_sound_events_make_a_measurement() -> None:
    found = Measurement.of(GOOD.job, events())
    assert (found.before, found.after, found.samples_ns) == (GOOD.before, GOOD.after, (1000, 1200))


def energy(**changes: Any) -> Repetition:
    window = replace(Window(1.0, {"VDD_IN": 1.0, "VDD_SOC": 0.5}, 10), **changes)
    return GOOD.repetitions[0].model_copy(update={"energy": PhaseEnergy(prompt=window, generate=window)})


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda events: events.append(GOOD.loaded), "2 events of kind loaded"),
        (lambda events: events.remove(GOOD.done), "0 events of kind done"),
        (lambda events: events.append(GOOD.after), "other conditions"),
        (lambda events: events.remove(GOOD.repetitions[0]), "1 repetitions of 2"),
        (lambda events: events.append(Repetition(timing=Timing(0, 5, (6,)))), "times of 1 tokens"),
        (lambda events: events.append(Repetition(timing=Timing(9, 5, (6, 7)))), "times that do not ascend"),
        (lambda events: events.append(Repetition(timing=Timing(5, 5, (5, 5)))), "times that do not ascend"),
        (lambda events: events.append(Idle(window=Window(1.0, {}, 1))), "energy from 0 sources"),
        (lambda events: events.extend([POWER, energy(joules={"VDD_IN": 1.0})]), "other rails"),
        (lambda events: events.extend([POWER, energy(seconds=-1.0)]), "less than no time"),
    ],
)
def test_events_that_contradict_each_other_are_refused(change: Callable[[list[Any]], None], found: str) -> None:
    mixed = events()
    change(mixed)
    with pytest.raises(EdgeqError, match=f"^board: .*: the board's events make no measurement, found .*{found}"):
        Measurement.of(GOOD.job, mixed, device="board")


@pytest.mark.parametrize(("asked", "found"), [("operators", "no times of operators"), ("trace", "no trace")])
def test_what_was_asked_for_must_be_there(asked: str, found: str) -> None:
    job = replace(GOOD.job, **{asked: True})
    with pytest.raises(EdgeqError, match=f"make no measurement, found {found}"):
        Measurement.of(job, events())
