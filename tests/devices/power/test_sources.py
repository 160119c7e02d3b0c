# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edgeq_devices.power import battery, hwmon, perf_rapl, rapl, rpi_pmic
from edgeq_devices.power.detect import choose, find_sources, why_no_energy
from edgeq_devices.power.meter import Meter
from edgeq_devices.power.source import Missing, Rails, Source, read_number
from tests.devices.power.trees import AGX_ORIN, ORIN_NANO, PMIC, TWO_SOCKETS, rapl_domain, write_tree
from tests.devices.power.trees import battery as battery_files


def only(found: list[Source | Missing]) -> Source:
    (source,) = found
    assert not isinstance(source, Missing), source
    return source


def counted(source: Source) -> list[str]:
    return [rail.name for rail in source.description.rails if rail.counted]


def test_a_machine_without_sensors_says_so(tmp_path: Path) -> None:
    readable, missing = find_sources(tmp_path)
    assert readable == []
    assert why_no_energy(missing) == "no power sensor on this machine"


def test_rapl_counts_packages_and_memory_once(tmp_path: Path) -> None:
    source = only(list(rapl.find(write_tree(tmp_path, TWO_SOCKETS))))
    assert counted(source) == ["package-0", "dram:0", "package-1", "dram:1"]
    assert {rail.name for rail in source.description.rails} == {*counted(source), "core:0", "core:1", "psys"}


def test_rapl_counters_wrap_around(tmp_path: Path) -> None:
    source = only(list(rapl.find(write_tree(tmp_path, rapl_domain("intel-rapl:0", "package-0", 900, 1000)))))
    source.read()
    write_tree(tmp_path, rapl_domain("intel-rapl:0", "package-0", 50, 1000))
    assert source.read()["package-0"] == pytest.approx(150e-6)


@pytest.mark.parametrize(("value", "message"), [("garbage", "wanted an integer"), ("", "wanted an integer")])
def test_rapl_refuses_what_is_no_number(tmp_path: Path, value: str, message: str) -> None:
    files = TWO_SOCKETS | {"sys/class/powercap/intel-rapl:1/energy_uj": value}
    (found,) = rapl.find(write_tree(tmp_path, files))
    assert isinstance(found, Missing)
    assert message in found.reason


def test_rapl_refuses_a_value_outside_its_range(tmp_path: Path) -> None:
    source = only(list(rapl.find(write_tree(tmp_path, rapl_domain("intel-rapl:0", "package-0", 10, 1000)))))
    write_tree(tmp_path, rapl_domain("intel-rapl:0", "package-0", 2000, 1000))
    with pytest.raises(ValueError, match="counter: found"):
        source.read()


def test_rapl_names_the_missing_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> float:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(rapl, "read_number", refuse)
    (found,) = rapl.find(write_tree(tmp_path, TWO_SOCKETS))
    assert isinstance(found, Missing)
    assert "only root" in found.reason
    assert "sudo chmod" in why_no_energy([found])


def perf_tree(root: Path, cpumask: str) -> Path:
    device = "sys/bus/event_source/devices/power"
    return write_tree(
        root,
        {
            f"{device}/type": "32",
            f"{device}/cpumask": cpumask,
            f"{device}/events/energy-pkg": "event=0x02",
            f"{device}/events/energy-pkg.scale": "2.3283064365386962890625e-10",
            f"{device}/events/energy-pkg.unit": "Joules",
            f"{device}/events/energy-cores": "event=0x01",
            f"{device}/events/energy-cores.scale": "2.3283064365386962890625e-10",
            f"{device}/events/energy-cores.unit": "Joules",
        },
    )


def test_perf_opens_every_event_on_every_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    opened = []

    def opener(kind: int, config: int, processor: int) -> int:
        opened.append((kind, config, processor))
        descriptor = os.memfd_create("counter")
        os.pwrite(descriptor, (1 << 32).to_bytes(8, "little"), 0)
        return descriptor

    source = only(list(perf_rapl.find(perf_tree(tmp_path, "0,16-17"), opener)))
    assert opened == [(32, config, cpu) for config in (1, 2) for cpu in (0, 16, 17)]
    assert counted(source) == ["energy-pkg:0", "energy-pkg:1", "energy-pkg:2"]
    assert source.read()["energy-pkg:1"] == pytest.approx(1.0)
    source.close()


def test_perf_closes_what_it_opened_when_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    descriptors: list[int] = []

    def opener(kind: int, config: int, processor: int) -> int:
        if descriptors:
            raise PermissionError(13, "Permission denied")
        descriptors.append(os.memfd_create("counter"))
        return descriptors[0]

    (found,) = perf_rapl.find(perf_tree(tmp_path, "0"), opener)
    assert isinstance(found, Missing)
    assert found.remedy == perf_rapl.REMEDY
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[0])


def test_jetson_rails_are_found_by_name(tmp_path: Path) -> None:
    source = only(list(hwmon.find(write_tree(tmp_path, ORIN_NANO))))
    assert counted(source) == ["VDD_IN"]
    assert source.read()["VDD_IN"] == pytest.approx(5.072 * 1.2)
    assert set(source.read()) == {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}


def test_a_channel_that_is_switched_off_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> float:
        if path.name == "in2_input":
            raise OSError(errno.ENODATA, "No data available", str(path))
        return read_number(path)

    monkeypatch.setattr(hwmon, "read_number", read)
    assert set(only(list(hwmon.find(write_tree(tmp_path, ORIN_NANO)))).read()) == {"VDD_IN", "VDD_SOC"}


def test_an_amplifiers_offset_is_no_power(tmp_path: Path) -> None:
    files = ORIN_NANO | {"sys/class/hwmon/hwmon3/curr3_input": "-16"}
    with Meter(only(list(hwmon.find(write_tree(tmp_path, files))))) as meter:
        assert meter.read().fault is None


def test_a_shunt_that_is_connected_the_wrong_way_round_is_a_fault(tmp_path: Path) -> None:
    files = ORIN_NANO | {"sys/class/hwmon/hwmon3/curr1_input": "-1200"}
    with Meter(only(list(hwmon.find(write_tree(tmp_path, files))))) as meter:
        assert "VDD_IN: found -6.0864 W" in (meter.read().fault or "")


def test_rails_of_unknown_relation_are_not_added_up(tmp_path: Path) -> None:
    files = {name: value.replace("VDD_IN", "VDD_GPU_SOC") for name, value in ORIN_NANO.items()}
    assert counted(only(list(hwmon.find(write_tree(tmp_path, files))))) == []


def test_an_ina226_reports_microwatts(tmp_path: Path) -> None:
    files = {"sys/class/hwmon/hwmon1/name": "ina226", "sys/class/hwmon/hwmon1/power1_input": "4875000"}
    source = only(list(hwmon.find(write_tree(tmp_path, files))))
    assert counted(source) == ["rail 1"]
    assert source.read() == {"rail 1": pytest.approx(4.875)}


def test_a_sensor_without_power_draws_a_reason(tmp_path: Path) -> None:
    files = {"sys/class/hwmon/hwmon1/name": "ina226", "sys/class/hwmon/hwmon1/power1_input": "n/a"}
    (found,) = hwmon.find(write_tree(tmp_path, files))
    assert isinstance(found, Missing)
    assert "wanted an integer" in found.reason


def test_pmic_multiplies_rails_that_have_both() -> None:
    assert rpi_pmic.parse(PMIC) == {
        "3V7_WL_SW": pytest.approx(0.0839296 * 3.71461),
        "3V3_SYS": pytest.approx(0.05367336 * 3.314404),
        "VDD_CORE": pytest.approx(1.6759 * 0.7204503),
    }


def test_pmic_belongs_to_the_raspberry_pi_5_alone(tmp_path: Path) -> None:
    write_tree(tmp_path, {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4"})
    assert list(rpi_pmic.find(tmp_path, lambda: PMIC)) == []
    for model in (
        "Raspberry Pi 5 Model B Rev 1.0\0",
        "Raspberry Pi 500 Rev 1.0\0",
        "Raspberry Pi Compute Module 5 Rev 1.0",
    ):
        write_tree(tmp_path, {"proc/device-tree/model": model})
        assert counted(only(list(rpi_pmic.find(tmp_path, lambda: PMIC)))) == ["3V7_WL_SW", "3V3_SYS", "VDD_CORE"]


def test_pmic_says_what_vcgencmd_said(tmp_path: Path) -> None:
    write_tree(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0"})
    (found,) = rpi_pmic.find(tmp_path, lambda: "VCHI initialization failed")
    assert isinstance(found, Missing)
    assert "VCHI initialization failed" in found.reason


@pytest.mark.parametrize("current", ["-512000", "512000"])
def test_a_discharging_battery_has_one_sign(tmp_path: Path, current: str) -> None:
    source = only(list(battery.find(write_tree(tmp_path, battery_files(current_now=current)))))
    assert source.read() == {"battery": pytest.approx(0.512 * 3.9)}


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_a_battery_on_a_cable_is_refused(tmp_path: Path, status: str) -> None:
    (found,) = battery.find(write_tree(tmp_path, battery_files(status)))
    assert isinstance(found, Missing)
    assert "not discharging" in found.reason
    assert found.remedy == battery.REMEDY


def test_the_battery_of_a_mouse_is_left_out(tmp_path: Path) -> None:
    assert list(battery.find(write_tree(tmp_path, battery_files(scope="Device")))) == []


def test_rails_of_two_chips_add_up_as_the_board_says(tmp_path: Path) -> None:
    rails = Rails(("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"), "the carrier board")
    source = only(list(hwmon.find(write_tree(tmp_path, AGX_ORIN))))
    assert counted(source) == []
    with Meter(source, rails) as meter:
        first = meter.read()
        window = meter.read() - first
        total = window.total(meter.description)
    assert total is not None
    assert total / window.seconds == pytest.approx(3.8 + 1.9 + 4.0 + 0.5)
    assert meter.description.leaves_out == "the carrier board"


def test_rails_that_are_called_alike_are_told_apart(tmp_path: Path) -> None:
    files = {name.replace("_label", "_unlabelled"): text for name, text in AGX_ORIN.items()}
    rails = only(list(hwmon.find(write_tree(tmp_path, files)))).description.rails
    assert len({rail.name for rail in rails}) == len(rails) == 5


def test_a_source_with_a_total_is_chosen_before_one_without(tmp_path: Path) -> None:
    readable, _ = find_sources(write_tree(tmp_path, AGX_ORIN | rapl_domain("intel-rapl:0", "package-0", 1)))
    assert choose(readable, None).description.name == "RAPL (powercap)"
    assert choose(readable, Rails(("VIN_SYS_5V0",), "all else")).description.name == "hwmon ina3221"
    assert choose(readable[:1], None) is readable[0]
