# SPDX-License-Identifier: Apache-2.0
"""The load pattern, in a time that passes as the processes let it pass."""

from __future__ import annotations

import io
import json
import sys
from itertools import pairwise

import pytest

from edgeq_devices.agent import pattern
from edgeq_devices.agent.pattern import schedule, spin

MILLISECOND = 1_000_000


class Clock:
    """Stands for the module `time`: a look at the clock takes a millisecond."""

    def __init__(self) -> None:
        self.now = 0
        self.looks: list[int] = []
        self.sleeps: list[tuple[int, int]] = []

    def monotonic_ns(self) -> int:
        self.now += MILLISECOND
        self.looks.append(self.now)
        return self.now

    def sleep(self, seconds: float) -> None:
        start, self.now = self.now, self.now + round(seconds * 1e9)
        self.sleeps.append((start, self.now))


def test_rests_and_loads_take_turns() -> None:
    spans = schedule([1.0, 0.5, 0.25, 2.0, 1.0], 7)
    assert spans == [(1_000_000_007, 1_500_000_007), (1_750_000_007, 3_750_000_007)]


def test_a_processor_is_busy_under_load_and_sleeps_at_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, spans = Clock(), schedule([0.5, 0.2, 0.3, 0.4, 0.5], 0)
    monkeypatch.setattr(pattern, "time", clock)
    monkeypatch.setattr(pattern, "die_with_parent", lambda: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(spans) + "\n"))
    spin()
    assert capsys.readouterr().out == "ready\n"
    rests = [(end, start) for (_, end), (start, _) in pairwise([(0, 0), *spans])]
    for slept, rest in zip(clock.sleeps, rests, strict=True):
        assert slept == pytest.approx(rest, abs=2 * MILLISECOND)
    for start, end in spans:
        looks = [look for look in clock.looks if start <= look < end]
        assert len(looks) >= (end - start) // MILLISECOND - 2
