# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.power.external import Recording, clock_offset, read_csv

LOADS = [(105.0, 107.0), (108.0, 109.0), (112.0, 113.5)]


def recorded(offset: float, seed: int = 0) -> Recording:
    """30 s at 100 Hz of a meter whose clock is ``offset`` behind the board's."""
    times = np.arange(95.0, 125.0, 0.01)
    watts = 3.0 + 4.0 * np.any([(times >= a) & (times < b) for a, b in LOADS], axis=0)
    return Recording(times - offset, watts + np.random.default_rng(seed).normal(0, 0.3, len(times)))


@pytest.mark.parametrize("offset", [0.0, 83.25, -1000.4])
def test_clocks_are_aligned_by_the_load_pattern(offset: float) -> None:
    recording = recorded(offset)
    assert clock_offset(recording, LOADS) == pytest.approx(offset, abs=0.03)
    board = recording.shifted(clock_offset(recording, LOADS))
    assert board.joules(*LOADS[0]) == pytest.approx(14.0, rel=0.03)


def test_power_that_does_not_follow_the_pattern_is_refused() -> None:
    noise = np.random.default_rng(0).normal(3, 0.3, 3000)
    with pytest.raises(EdgeqError, match="does not follow the load pattern"):
        clock_offset(Recording(np.arange(95.0, 125.0, 0.01), noise), LOADS)


def test_energy_beyond_the_recording_is_refused() -> None:
    with pytest.raises(EdgeqError, match="does not cover the measurement"):
        recorded(0.0).joules(90.0, 100.0)


@pytest.mark.parametrize(
    ("text", "watts"),
    [
        ("time_s,power_w\n0,1\n1,2\n", [1.0, 2.0]),
        ("time_s,voltage_v,current_a\n0,5,1\n0.5,5,0.5\n", [5.0, 2.5]),
    ],
)
def test_recordings_are_read(tmp_path: Path, text: str, watts: list[float]) -> None:
    path = tmp_path / "meter.csv"
    path.write_text(text)
    np.testing.assert_array_equal(read_csv(path).watts, watts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seconds,watts\n0,1\n", "missing column"),
        ("time_s,power_w\n0,one\n", "not a number"),
        ("time_s,power_w\n0\n", "not a number"),
        ("time_s,power_w\n0,nan\n", "not a finite number"),
        ("time_s,power_w\n1,1\n0,1\n", "times do not ascend"),
        ("time_s,power_w\n", "times do not ascend"),
        ("", "times do not ascend"),
    ],
)
def test_damaged_recordings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "meter.csv"
    path.write_text(text)
    with pytest.raises(EdgeqError, match=message):
        read_csv(path)


def test_a_recording_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "meter.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EdgeqError, match="cannot be read as CSV"):
        read_csv(path)
