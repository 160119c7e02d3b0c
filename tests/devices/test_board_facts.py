# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.agent.identity import clusters, describe
from edgeq_devices.answers import parse_answer
from edgeq_devices.board_facts import read_facts
from edgeq_devices.session import kind_of, rails_of
from tests.devices.power.trees import AGX_ORIN, ORIN_NANO, write_tree


def answer(root: Path, **changes: Any) -> dict[str, Any]:
    found = json.loads(json.dumps(describe(root, root)))
    return {**found, "machine": "aarch64", **changes}


def test_a_board_is_known_by_its_device_tree_and_counts_its_rails(tmp_path: Path) -> None:
    model = {"proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0"}
    facts = read_facts(answer(write_tree(tmp_path, AGX_ORIN | model)), "board")
    assert (kind_of(facts), facts.cores) == ("jetson-agx-orin", answer(tmp_path)["cores"])
    rails = rails_of("jetson-agx-orin")
    assert rails is not None
    (source,) = facts.power
    assert not any(rail.counted for rail in source.rails)
    counted = source.with_rails(rails)
    assert [rail.name for rail in counted.rails if rail.counted] == list(rails.names)
    assert counted.leaves_out == "the carrier board: fan, USB, display, network"


def test_rails_that_are_not_there_change_nothing(tmp_path: Path) -> None:
    (source,) = read_facts(answer(write_tree(tmp_path, ORIN_NANO)), "board").power
    rails = rails_of("jetson-agx-orin")
    assert rails is not None
    assert source.with_rails(rails) == source


def test_kinds_of_cores_are_found_by_their_capacity(tmp_path: Path) -> None:
    capacities = {0: 250, 1: 250, 2: 870, 3: 1024}
    write_tree(tmp_path, {f"sys/devices/system/cpu/cpu{n}/cpu_capacity": str(c) for n, c in capacities.items()})
    assert clusters(tmp_path) == {"little": [0, 1], "middle": [2], "big": [3]}
    write_tree(tmp_path, {f"sys/devices/system/cpu/cpu{n}/cpu_capacity": "1024" for n in capacities})
    assert clusters(tmp_path) == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"machine": "x86_64; reboot"}, "machine"),
        ({"cores": 0}, "cores"),
        ({"python": "../python"}, "python"),
        ({"libc": "glibc 2"}, "libc"),
        ({"libraries": None}, "libraries"),
        ({"power": [{"name": "x"}]}, "power.0.rails"),
        ({"disk_free": -1}, "disk_free"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_hostile_account_is_refused(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(EdgeqError, match=f"^board: {field}: wrong answer from the board"):
        read_facts(answer(tmp_path, **changes), "board")


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    found = answer(tmp_path)
    del found["throttling"]
    with pytest.raises(EdgeqError, match=r"^board: throttling: wrong answer"):
        read_facts(found, "board")


@pytest.mark.parametrize(
    "line", ['{"a": 1e999}', '{"a": NaN}', '{"a": 9223372036854775808}', '{"a": ' + "9" * 5000 + "}"]
)
def test_numbers_are_finite_and_fit_64_bits(line: str) -> None:
    with pytest.raises(EdgeqError, match="something else than events"):
        parse_answer(line.encode(), "board")


def test_texts_cannot_write_to_the_terminal() -> None:
    assert parse_answer(b'{"a\\u001b": ["\\u001b[2J"]}', "board") == {"a ": [" [2J"]}


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01".ljust(18, b"\0") + machine.to_bytes(2, "little")


@pytest.mark.parametrize(
    ("program", "machine", "emulated_on"),
    [
        (elf(62), "aarch64", "x86_64"),
        (elf(62), "x86_64", None),
        (elf(40), "aarch64", None),
        (elf(0), "aarch64", None),
        (b"#!", "aarch64", None),
    ],
)
def test_an_emulator_is_known_by_its_program(
    tmp_path: Path, program: bytes, machine: str, emulated_on: str | None
) -> None:
    assert read_facts(answer(tmp_path, machine=machine), "board").emulated_on is None
    (tmp_path / "proc/thread-self").mkdir(parents=True)
    (tmp_path / "proc/thread-self/exe").write_bytes(program)
    assert read_facts(answer(tmp_path, machine=machine), "board").emulated_on == emulated_on
