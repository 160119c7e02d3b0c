# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq_devices.power.meter import Meter
from edgeq_devices.power.source import Description, Quantity, Rail
from edgeq_devices.power.unwrap import Unwrapped
from edgeq_devices.power.window import Reading, Window, net_joules

SECOND = 1_000_000_000
RAILS = (Rail("total", counted=True), Rail("part", counted=False))


class Script:
    """A source that reports what a test wrote down; a second passes with every sample."""

    def __init__(self, quantity: Quantity, *steps: float | Callable[[], Mapping[str, float]]) -> None:
        self.description = Description("script", quantity, RAILS, "nothing", "none", interval=3600)
        self._steps, self.now, self.closed = iter(steps), -1, 0

    def clock(self) -> int:
        return self.now * SECOND

    def read(self) -> Mapping[str, float]:
        self.now += 1
        step = next(self._steps)
        return step() if callable(step) else {"total": step, "part": step / 2}

    def close(self) -> None:
        self.closed += 1


def open_meter(source: Script) -> Meter:
    return Meter(source, clock=source.clock)


def test_power_is_integrated_by_the_trapezoidal_rule() -> None:
    source = Script(Quantity.POWER, 2.0, 4.0, 4.0)
    with open_meter(source) as meter:
        first, second = meter.read(), meter.read()
    assert first.joules == {"total": 3.0, "part": 1.5}
    window = second - first
    assert (window.seconds, window.joules, window.samples) == (1.0, {"total": 4.0, "part": 2.0}, 1)
    assert source.closed == 1


def test_counters_are_subtracted() -> None:
    with open_meter(Script(Quantity.ENERGY, 100.0, 107.0, 120.0)) as meter:
        assert meter.read().joules == {"total": 7.0, "part": 3.5}
        assert meter.read().joules == {"total": 20.0, "part": 10.0}


def test_energy_between_samples_is_interpolated() -> None:
    with open_meter(Script(Quantity.ENERGY, 0.0, 8.0, 10.0)) as meter:
        meter.read()
        meter.read()
        assert meter.at(SECOND // 2).joules["total"] == 4.0
        assert meter.at(SECOND).joules["total"] == 8.0
        assert meter.at(3 * SECOND // 2).joules["total"] == 9.0
        assert meter.at(-SECOND).joules["total"] == 0.0


@pytest.mark.parametrize("watts", [-1.0, math.nan, math.inf, 1e9])
def test_absurd_values_end_the_sampling(watts: float) -> None:
    with open_meter(Script(Quantity.POWER, 1.0, watts, 1.0)) as meter:
        reading = meter.read()
        assert reading.fault is not None
        assert "wanted 0 to 5000" in reading.fault
        assert meter.read().fault == reading.fault


def test_a_counter_that_jumps_between_two_hasty_readings_is_a_fault() -> None:
    source = Script(Quantity.ENERGY, 1.0, 200_000.0)
    with Meter(source, clock=lambda: source.clock() // 1000) as meter:
        assert "wanted 0 to 5000" in (meter.read().fault or "")


def test_a_vanished_sensor_is_a_fault_of_the_window() -> None:
    def vanish() -> Mapping[str, float]:
        raise FileNotFoundError(2, "No such file or directory", "power1_input")

    with open_meter(Script(Quantity.POWER, 1.0, 1.0, vanish)) as meter:
        start = meter.read()
        window = meter.read() - start
    (flag,) = window.flags()
    assert "No such file or directory" in flag


def test_a_vanished_rail_is_a_fault() -> None:
    with open_meter(Script(Quantity.POWER, 1.0, lambda: {"total": 1.0})) as meter:
        assert "rails part have vanished" in (meter.read().fault or "")


def test_few_samples_are_flagged() -> None:
    window = Reading(2 * SECOND, {"total": 5.0}, 6) - Reading(0, {"total": 1.0}, 2)
    assert window.rate == 2.0
    assert window.flags() == ["4 power samples in 2.00 s, wanted at least 5"]


def test_a_sensor_that_stands_still_is_flagged() -> None:
    window = Reading(2 * SECOND, {"total": 0.0, "part": 0.0}, 9) - Reading(0, {"total": 0.0, "part": 0.0}, 2)
    assert window.flags() == ["the power sensor stands still: no energy in 2.00 s"]


def test_only_counted_rails_are_summed_and_idle_is_subtracted() -> None:
    description = Description("x", Quantity.POWER, RAILS, "", "", 1.0)
    busy, idle = Window(2.0, {"total": 10.0, "part": 4.0}, 9), Window(5.0, {"total": 5.0, "part": 1.0}, 9)
    assert busy.total(description) == 10.0
    assert net_joules(busy, idle, description) == pytest.approx(8.0)
    unknown = Description("x", Quantity.POWER, (Rail("total", counted=False),), "", "", 1.0)
    assert busy.total(unknown) is None
    assert net_joules(busy, idle, unknown) is None


@given(st.lists(st.floats(0, 99), min_size=1), st.floats(100, 1000))
def test_growth_is_recovered_from_a_counter_that_wraps(steps: list[float], period: float) -> None:
    counter = Unwrapped(period)
    counter.advance(0.0)
    total = 0.0
    for step in steps:
        total += step
        counter.advance(total % period)
    assert counter.total == pytest.approx(total, abs=1e-6 * max(1.0, total))
