# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from edgeq_devices.boards import load_boards


def test_boards_are_listed(edgeq):
    outcome = edgeq("devices")
    assert outcome.code == 0
    assert [line.split("|")[1].strip() for line in outcome.out.splitlines()[2:]] == list(load_boards())


def test_boards_are_listed_as_json(edgeq):
    boards = json.loads(edgeq("devices", "--json").out)
    assert boards["raspberry-pi-5"]["clusters"][0]["core"] == "Cortex-A76"


def test_this_machine_is_detected(edgeq):
    outcome = edgeq("devices", "detect")
    assert outcome.code == 0
    topics = [line.split("  ")[0] for line in outcome.out.splitlines()]
    assert topics[:7] == ["board", "platform", "CPU", "memory", "disk", "libraries", "throttling"]
    assert "power" in topics[7]
    facts = json.loads(edgeq("devices", "detect", "local", "--json").out)
    assert facts["libraries"].keys() == {"numpy", "onnxruntime"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("detect", "board"), "--device: unknown device, found 'board', wanted local, ssh://"),
        (("detect", "ssh://-oProxyCommand=x"), "--device: wrong address"),
        (("setup", "local", "--library", "/no/such/library.so"), "/no/such/library.so: no such operator library"),
        (("setup", "ssh://no-such-board.invalid"), "ssh://no-such-board.invalid: unknown host"),
    ],
)
def test_what_cannot_be_reached_is_named(edgeq, arguments, message):
    outcome = edgeq("devices", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines()[-1].startswith(f"edgeq: error: {message}")


def test_operators_for_another_machine_are_refused(edgeq, tmp_path):
    machine = (40).to_bytes(2, "little")  # 32-bit ARM
    library = tmp_path / "libedgeq_ops.so"
    library.write_bytes(b"\x7fELF\x01\x01".ljust(18, b"\0") + machine)
    outcome = edgeq("devices", "setup", "local", "--library", library)
    assert outcome.code == 2
    assert f"{library}: operator library of another architecture, found armv7, wanted" in outcome.err
