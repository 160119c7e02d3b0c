# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from edgeq_devices.throttle import Throttling, parse_get_throttled, read_throttling
from tests.devices.power.trees import write_tree

CPU = "sys/devices/system/cpu"


def test_a_machine_without_an_interface_knows_nothing(tmp_path: Path) -> None:
    state = read_throttling(tmp_path, lambda: None)
    assert state == Throttling()
    assert state.since(state) is None


def test_firmware_flags_are_read() -> None:
    state = parse_get_throttled("throttled=0x50005\n")
    assert state.active == {"under-voltage", "throttled"}
    assert state.events == {"under-voltage": 1, "frequency capped": 0, "throttled": 1, "soft temperature limit": 0}


def test_flags_from_before_the_run_do_not_count() -> None:
    before = parse_get_throttled("throttled=0x50000")
    assert parse_get_throttled("throttled=0x50000").since(before) == []
    assert parse_get_throttled("throttled=0x70000").since(before) == ["frequency capped"]
    assert parse_get_throttled("throttled=0x50000").since(parse_get_throttled("throttled=0x50001")) == ["under-voltage"]


@pytest.mark.parametrize("text", ["", "VCHI initialization failed", "throttled=hot"])
def test_firmware_without_an_answer_is_no_interface(tmp_path: Path, text: str) -> None:
    assert read_throttling(tmp_path, lambda: text).sources == ()


def test_x86_counts_a_package_once(tmp_path: Path) -> None:
    files = {
        f"{CPU}/cpu{number}/thermal_throttle/{kind}_throttle_count": count
        for number, (core, package) in enumerate([("2", "7"), ("3", "7")])
        for kind, count in (("core", core), ("package", package))
    }
    before = read_throttling(write_tree(tmp_path, files), lambda: None)
    assert before.events == {"core thermal limit": 5, "package thermal limit": 7}
    write_tree(tmp_path, {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4"})
    assert read_throttling(tmp_path, lambda: None).since(before) == ["core thermal limit"]


def test_jetson_counts_over_current_events(tmp_path: Path) -> None:
    write_tree(tmp_path, {"sys/class/hwmon/hwmon5/oc1_event_cnt": "0", "sys/class/hwmon/hwmon5/oc3_event_cnt": "2"})
    assert read_throttling(tmp_path, lambda: None).events == {"over-current 1": 0, "over-current 3": 2}


def test_active_cooling_is_throttling(tmp_path: Path) -> None:
    device = "sys/class/thermal/cooling_device0"
    cool = read_throttling(
        write_tree(tmp_path, {f"{device}/type": "thermal-cpufreq-0", f"{device}/cur_state": "0"}), lambda: None
    )
    assert cool.since(cool) == []
    write_tree(tmp_path, {f"{device}/cur_state": "3"})
    assert read_throttling(tmp_path, lambda: None).since(cool) == ["thermal-cpufreq-0 cooling"]
