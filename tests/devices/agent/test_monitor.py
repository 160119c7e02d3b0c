# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from edgeq_devices.agent.monitor import Monitor, read_trip_points
from tests.devices.power.trees import write_tree

ZONE, POLICY = "sys/class/thermal/thermal_zone0", "sys/devices/system/cpu/cpufreq/policy0"
BOARD = {
    f"{ZONE}/type": "cpu-thermal",
    f"{ZONE}/temp": "60000",
    f"{ZONE}/trip_point_0_type": "active",
    f"{ZONE}/trip_point_0_temp": "50000",
    f"{ZONE}/trip_point_1_type": "passive",
    f"{ZONE}/trip_point_1_temp": "85000",
    f"{POLICY}/scaling_cur_freq": "2400000",
    "proc/vmstat": "pswpin 100\npswpout 5",
}


def test_the_first_point_that_slows_the_machine_counts(tmp_path: Path) -> None:
    assert read_trip_points(write_tree(tmp_path, BOARD)) == {"thermal_zone0:cpu-thermal": 85.0}


def test_extremes_are_remembered(tmp_path: Path) -> None:
    monitor = Monitor(write_tree(tmp_path, BOARD), interval=3600)
    with monitor:
        monitor.start()
        write_tree(tmp_path, {f"{ZONE}/temp": "81000", f"{POLICY}/scaling_cur_freq": "1500000"})
        monitor._sample()
        write_tree(tmp_path, {f"{ZONE}/temp": "70000", "proc/vmstat": "pswpin 103"})
        monitor._sample()
    seen = monitor.extremes
    assert seen.temperatures == {"thermal_zone0:cpu-thermal": 81.0}
    assert seen.margins == {"thermal_zone0:cpu-thermal": -1.0}
    assert (seen.fastest, seen.slowest) == ({"policy0": 2_400_000}, {"policy0": 1_500_000})
    assert seen.pages_swapped_in == 3


def test_a_clock_that_rises_has_lost_nothing(tmp_path: Path) -> None:
    monitor = Monitor(write_tree(tmp_path, {**BOARD, f"{POLICY}/scaling_cur_freq": "600000"}), interval=3600)
    with monitor:
        monitor.start()
        write_tree(tmp_path, {f"{POLICY}/scaling_cur_freq": "2400000"})
        monitor._sample()
    assert (monitor.extremes.fastest, monitor.extremes.slowest) == ({"policy0": 2_400_000}, {"policy0": 2_400_000})


def test_a_monitor_that_never_began_ends(tmp_path: Path) -> None:
    with Monitor(tmp_path) as monitor:
        pass
    assert monitor.extremes.pages_swapped_in is None


def test_clocks_of_idle_clusters_do_not_matter(tmp_path: Path) -> None:
    little = POLICY.replace("policy0", "policy4")
    clusters = {f"{POLICY}/related_cpus": "0 1 2 3", f"{little}/related_cpus": "4-7", f"{little}/scaling_cur_freq": "1"}
    write_tree(tmp_path, {**BOARD, **clusters})
    with Monitor(tmp_path, interval=3600, processors=frozenset({1, 2})) as monitor:
        monitor.start()
    assert monitor.extremes.fastest == {"policy0": 2_400_000}
