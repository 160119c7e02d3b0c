# SPDX-License-Identifier: Apache-2.0
"""When a row is measured again, and how a busy board is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeq_devices import profiling
from edgeq_devices.external.address import MeterAddress
from edgeq_devices.job import Job, Test
from edgeq_devices.profiling import Request
from edgeq_devices.remote import BusyBoardError
from edgeq_devices.results import Measurement
from tests.devices.test_tables import measured, report_of

TEST = Test(prompt=8)
SOUND, DISTURBED = measured(TEST, (1000,)), measured(TEST, (2000,), other_processors=3.0)
EMULATED = measured(TEST, (3000,), notes=("emulated",))
BUSY = BusyBoardError("eve is measuring")


class Script:
    """A session whose measurements come out as a test wrote down."""

    def __init__(self, *steps: Measurement | Exception) -> None:
        self.steps: Iterator[Measurement | Exception] = iter(steps)

    def measure(self, job: Job, listen: Any) -> Measurement:
        step = next(self.steps)
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(profiling.time, "sleep", found.append)
    return found


def row(*steps: Measurement | Exception, cool_down: float | None = None, wait: float = 0.0) -> Measurement:
    session: Any = Script(*steps)
    request = Request(Path("bundle"), cool_down=cool_down, wait_seconds=wait)
    return profiling._measure_again_if_flagged(session, SOUND.job, request, lambda *progress: None)


def test_a_flagged_row_is_measured_once_more(naps: list[float]) -> None:
    found = row(DISTURBED, SOUND, cool_down=2.5)
    assert (found.samples_ns, found.attempts, found.flags) == (SOUND.samples_ns, 2, [])
    assert naps == [1.0, 1.0, 0.5]
    assert row(DISTURBED, DISTURBED, cool_down=0.0).flags


def test_a_row_is_kept_that_is_sound_or_will_not_get_better(naps: list[float]) -> None:
    assert row(SOUND, cool_down=60.0).attempts == 1
    assert row(EMULATED, cool_down=60.0).attempts == 1
    assert row(DISTURBED).attempts == 1
    assert naps == []


def test_a_busy_board_is_waited_for(naps: list[float]) -> None:
    assert row(BUSY, BUSY, SOUND, wait=60.0).attempts == 1
    assert naps == [profiling.BUSY_SECONDS] * 2
    with pytest.raises(BusyBoardError):
        row(BUSY, SOUND)


def test_a_recording_that_never_comes_is_waited_for_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seconds, waits = [0.0], []

    def add_energy(row: Measurement, read: Any, address: MeterAddress) -> Measurement:
        waits.append(address.wait)
        seconds[0] += address.wait + 1
        return row

    monkeypatch.setattr(profiling.time, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(profiling, "add_energy", add_energy)
    request = Request(tmp_path, power=MeterAddress(tmp_path / "meter.csv", wait=60.0))
    report = report_of(SOUND, SOUND, SOUND)
    profiling._with_meter(report, request, lambda: None, lambda *progress: None)  # type: ignore[arg-type,return-value]
    assert waits == [60.0, 0.0, 0.0]
