# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from edgeq_devices.conditions import (
    Frequency,
    library_versions,
    parse_meminfo,
    parse_processors,
    read_conditions,
    read_frequencies,
    read_power_mode,
    read_temperatures,
)

MEMINFO = """\
MemTotal:        8123456 kB
MemAvailable:    7000000 kB
SwapTotal:        102396 kB
SwapFree:         100000 kB
HugePages_Total:       3
Hugepagesize:       2048 kB
"""


@pytest.fixture
def board(tmp_path):
    """Recorded files of a board with two clusters, one of them without a readable clock."""
    for policy, governor, clocks in (
        ("policy0", "performance", (1500, 600, 1800)),
        ("policy4", "ondemand", (None, 1000, 2400)),
    ):
        directory = tmp_path / "sys/devices/system/cpu/cpufreq" / policy
        directory.mkdir(parents=True)
        (directory / "scaling_governor").write_text(governor + "\n")
        for name, clock in zip(("cur", "min", "max"), clocks, strict=True):
            if clock:
                (directory / f"scaling_{name}_freq").write_text(f"{clock}000\n")
    for zone, kind, temperature in (
        ("thermal_zone0", "cpu-thermal\n", "48312\n"),
        ("thermal_zone1", None, "-5000\n"),
        ("thermal_zone2", "broken\n", "N/A\n"),
    ):
        directory = tmp_path / "sys/class/thermal" / zone
        directory.mkdir(parents=True)
        (directory / "temp").write_text(temperature)
        if kind:
            (directory / "type").write_text(kind)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(MEMINFO)
    (tmp_path / "proc/loadavg").write_text("0.82 0.43 0.22 2/104 7431\n")
    return tmp_path


def test_frequencies(board):
    assert read_frequencies(board) == [
        Frequency("policy0", "performance", 1_500_000, 600_000, 1_800_000),
        Frequency("policy4", "ondemand", None, 1_000_000, 2_400_000),
    ]


def test_temperatures_leave_out_a_broken_zone(board):
    assert read_temperatures(board) == {"thermal_zone0:cpu-thermal": 48.312, "thermal_zone1:unknown": -5.0}


def test_meminfo_is_in_bytes_and_skips_counts():
    found = parse_meminfo(MEMINFO)
    assert found["MemTotal"] == 8123456 * 1024
    assert "HugePages_Total" not in found


def test_conditions_of_the_board(board):
    found = read_conditions(board)
    assert found.governor == "ondemand/performance"
    assert found.load_average == [0.82, 0.43, 0.22]
    assert (found.memory_available, found.swap_used) == (7000000 * 1024, 2396 * 1024)
    assert replace(found, frequencies=[]).governor is None


def test_what_cannot_be_read_is_none_not_a_guess(tmp_path):
    found = read_conditions(tmp_path)
    assert (found.cpu, found.load_average, found.memory_total, found.swap_used) == (None, None, None, None)
    assert found.frequencies == []
    assert found.temperatures == {}


def test_versions_of_what_is_installed_only():
    assert list(library_versions(("numpy", "no-such-distribution"))) == ["numpy"]


def test_power_mode_isolated_and_offline_processors_are_read(tmp_path):
    processors = tmp_path / "sys/devices/system/cpu"
    processors.mkdir(parents=True)
    (processors / "isolated").write_text("2-3\n")
    (processors / "offline").write_text("\n")
    found = read_conditions(tmp_path)
    assert (found.isolated, found.offline, found.power_mode) == ((2, 3), (), None)
    assert read_power_mode(tmp_path, lambda: "NV Power Mode: MAXN\n0\n") == "MAXN"
    profile = tmp_path / "sys/firmware/acpi/platform_profile"
    profile.parent.mkdir(parents=True)
    profile.write_text("balanced\n")
    assert read_power_mode(tmp_path, lambda: None) == "balanced"


@pytest.mark.parametrize(
    ("text", "processors"), [("0-3,6", (0, 1, 2, 3, 6)), ("5", (5,)), ("", ()), ("1-x", ()), ("0-99999999", ())]
)
def test_lists_of_processors_are_read(text, processors):
    assert parse_processors(text) == processors
