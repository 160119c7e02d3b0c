# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile --power external:…`` with a meter on a pseudo-terminal, which shows the load that was made."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq_devices.remote import measure_events
from tests.cli.conftest import Edgeq
from tests.devices.processes import PATIENCE
from tests.tiny_decoder import TinyDecoder

HERTZ = 50
OFFSET = 40.25  # seconds that the meter's clock is behind


def record(events: Sequence[dict[str, Any]]) -> str:
    """Lines of a meter with a clock of its own, from before a measurement until after it: 5 W, 15 W under load."""
    spans = next(event["spans"] for event in events if event["event"] == "loads")
    ends = [event["end_ns"] for event in events if event["event"] == "rest"]
    times = np.arange(spans[0][0] * 1e-9 - 2.0, max(ends) * 1e-9 + 1.0, 1 / HERTZ)
    loaded = np.any([(times >= start * 1e-9) & (times < end * 1e-9) for start, end in spans], axis=0)
    return "".join(f"{time:.3f},{watts}\n" for time, watts in zip(times - OFFSET, 5 + 10 * loaded, strict=True))


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of the port; what was measured comes from it afterwards, so that no test waits for a busy machine."""
    end, port = os.openpty()

    def measure(*arguments: Any) -> Any:
        events = measure_events(*arguments)
        text = memoryview(record(events).encode())
        while text:
            text = text[os.write(end, text) :]
        return events

    monkeypatch.setattr("edgeq_devices.session.measure_events", measure)
    yield os.ttyname(port)
    os.close(end)
    os.close(port)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns and rests as short as such a meter allows."""
    for name, value in (("LOADS", 5), ("STRETCH", (0.15, 0.4)), ("PAUSE", 0.6), ("IDLE_SECONDS", 0.3)):
        monkeypatch.setattr(f"edgeq_devices.profiling.{name}", value)


def test_a_meter_on_a_serial_port(edgeq: Edgeq, tiny_decoder: TinyDecoder, meter: str) -> None:
    arguments = ("-p", "0", "-n", "4", "-r", "2", "-t", "1", "--sustain", "0.5s", "--format", "json")
    options = f"columns=time_s,power_w&wait={PATIENCE:.0f}"
    outcome = edgeq("profile", tiny_decoder.directory, *arguments, "--power", f"external:{meter}?{options}")
    (row,) = json.loads(outcome.out)["results"]
    assert row["energy_missing"] is None
    energy = row["energy"]
    assert energy["source"] == f"external meter {meter}"
    # The model is none of the load that the meter shows.
    assert [energy[name] for name in ("watts", "load_watts", "token_watts")] == pytest.approx([5.0] * 3, abs=0.5)
    assert energy["idle_watts"] == pytest.approx([5.0, 5.0], abs=0.5)


def test_a_recording_of_something_else_leaves_a_reason(edgeq: Edgeq, tiny_decoder: TinyDecoder, tmp_path: Path) -> None:
    recording = tmp_path / "meter.csv"
    recording.write_text("time_s,power_w\n" + "".join(f"{second / 10},3\n" for second in range(600)))
    arguments = ("-p", "0", "-n", "4", "-r", "1", "-t", "1", "--power", f"external:{recording}?wait=0")
    outcome = edgeq("profile", tiny_decoder.directory, *arguments)
    assert outcome.code == 0
    assert "energy: none, external meter: correlation: the recorded power does not follow the load" in outcome.out
