# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.external.recording import SUPPLY, Recording, read_csv


@pytest.mark.parametrize(
    ("text", "watts"),
    [
        ("time_s,power_w\n0,1\n1,2\n", [1.0, 2.0]),
        ("time_s,voltage_v,current_a\n0,5,1\n0.5,5,0.5\n", [5.0, 2.5]),
        ("note,power_w,time_s\nx,1,0\ny,2,1\n", [1.0, 2.0]),
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
        ("time_s,power_w\n0,one\n", "not a sample of power"),
        ("time_s,power_w\n0\n", "not a sample of power"),
        ("time_s,power_w\n0,nan\n", "not a sample of power"),
        ("time_s,power_w\n0,-1\n1,2\n", "not a sample of power"),
        ("time_s,power_w\n0,1e9\n1,2\n", "wanted numbers, of 0 to 5000 W"),
        ("time_s,power_w\nnan,1\n1,2\n", "times do not ascend"),
        ("time_s,power_w\n0,1\ninf,2\n", "times do not ascend"),
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


def test_energy_is_the_area_under_the_power() -> None:
    window = Recording(np.array([0.0, 1.0, 3.0]), np.array([2.0, 4.0, 4.0])).window(0.5, 2.0)
    assert window.joules == {SUPPLY: pytest.approx(0.5 * 3.5 + 4.0)}
    assert (window.seconds, window.samples) == (1.5, 1)


def test_energy_beyond_the_recording_is_refused() -> None:
    with pytest.raises(EdgeqError, match="does not cover the measurement"):
        Recording(np.array([0.0, 1.0]), np.array([2.0, 4.0])).window(0.5, 1.1)
