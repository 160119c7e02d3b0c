# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.external.address import MeterAddress, parse_power


def test_addresses(tmp_path: Path) -> None:
    assert parse_power("auto") is True
    assert parse_power("none") is False
    assert parse_power(f"external:{tmp_path}/m.csv?wait=5") == MeterAddress(tmp_path / "m.csv", wait=5.0)
    port = parse_power("external:/dev/null?baud=9600&columns=voltage_v,current_a")
    assert port == MeterAddress(Path("/dev/null"), 9600, ("voltage_v", "current_a"))
    assert isinstance(port, MeterAddress)
    assert port.is_port


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rapl", "--power: unknown power source, found 'rapl', wanted auto, none, external:FILE"),
        ("external:", "unknown power source"),
        ("external:/dev/nosuch", "/dev/nosuch: no such port"),
        ("external:/no/such/meter.csv", "--power: no such directory"),
        ("external:m.csv?speed=1", "unknown option, found speed"),
        ("external:m.csv?wait=long", "not a number"),
        ("external:/dev/null?columns=watts", "unknown column, found watts"),
    ],
)
def test_wrong_addresses_are_refused(text: str, message: str) -> None:
    with pytest.raises(EdgeqError) as refused:
        parse_power(text)
    assert message in str(refused.value)
