# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.boards import DIRECTORY, identify, load_board, load_boards
from edgeq_devices.boards.schema import Identity

BOARDS = load_boards()


def test_all_files_are_boards() -> None:
    assert set(BOARDS) == {path.stem for path in DIRECTORY.glob("*.toml")}
    assert len(BOARDS) >= 8


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_clusters_number_processors_from_zero(name: str) -> None:
    if BOARDS[name].clusters:
        processors = BOARDS[name].processors("all")
        assert processors == list(range(len(processors)))


@pytest.mark.parametrize(
    ("identity", "board"),
    [
        (Identity(system="Linux", machine="aarch64", model="Raspberry Pi 5 Model B Rev 1.0"), "raspberry-pi-5"),
        (Identity(system="Linux", machine="aarch64", model="Raspberry Pi 4 Model B Rev 1.4"), "raspberry-pi-4"),
        (Identity(system="Linux", machine="aarch64", model="NVIDIA Orin Nano Developer Kit"), "jetson-orin-nano"),
        (Identity(system="Linux", machine="aarch64", model="Jetson AGX Orin"), "jetson-agx-orin"),
        (Identity(system="Linux", machine="aarch64", model="Radxa ROCK 5B"), "rock-5b"),
        (Identity(system="Linux", machine="aarch64", model="Some Board"), "generic-linux"),
        (Identity(system="Linux", machine="x86_64"), "x86-rapl"),
        (Identity(system="Android", machine="aarch64"), "android-generic"),
        (Identity(system="Linux", machine="riscv64"), "generic-linux"),
    ],
)
def test_machines_are_identified(identity: Identity, board: str) -> None:
    assert identify(identity) == board


def test_clusters_are_chosen_by_name() -> None:
    assert BOARDS["rock-5b"].processors("big") == [4, 5, 6, 7]
    with pytest.raises(KeyError):
        BOARDS["raspberry-pi-5"].processors("big")


TEXT = (DIRECTORY / "rock-5b.toml").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not TOML"),
        (TEXT.replace("mhz = 2400", "mhz = -1"), r"field clusters\.1\.mhz|clusters\.1\.mhz"),
        (TEXT.replace("[4, 5, 6, 7]", "[3, 4, 5]"), "a processor is in two clusters"),
        (TEXT.replace('device_tree = ["Radxa ROCK 5B*"]', ""), "wanted either device_tree or fallback"),
        (TEXT.replace("bandwidth", "bandwith"), "bandwith"),
        (TEXT.replace('"external"', '"guess"'), "power.0.meter"),
    ],
)
def test_wrong_descriptions_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(EdgeqError, match=message):
        load_board(path)
