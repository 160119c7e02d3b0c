# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile --power external:…`` with a meter on a pseudo-terminal.

The meter shows what the processes of the load pattern really do: power follows the processor time that they have used.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Edgeq
from tests.tiny_decoder import TinyDecoder

TICKS = os.sysconf("SC_CLK_TCK")
SECONDS = 0.02  # between samples


def spinning_seconds() -> float:
    """Processor time of this process's children that make the load, as the kernel counts it."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"\0spin\0" in path.read_bytes():
                total += sum(map(int, path.with_name("stat").read_text().rpartition(")")[2].split()[11:13]))
        except OSError:
            continue
    return total / TICKS


def simulate(write: Callable[[str], object], stop: threading.Event) -> None:
    """Prints volts and amperes at 50 Hz: 5 W, and 10 W more for each processor that makes load."""
    before, last = spinning_seconds(), time.monotonic()
    while not stop.wait(SECONDS):
        used, now = spinning_seconds(), time.monotonic()
        watts = 5.0 + 10.0 * max(0.0, used - before) / (now - last)
        before, last = used, now
        write(f"5.0,{watts / 5:.4f}\n")


@pytest.fixture
def meter() -> Iterator[str]:
    """Name of the port."""
    end, port = os.openpty()
    stop = threading.Event()
    thread = threading.Thread(target=simulate, args=(lambda text: os.write(end, text.encode()), stop), daemon=True)
    thread.start()
    yield os.ttyname(port)
    stop.set()
    thread.join()
    os.close(end)
    os.close(port)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns and rests as short as such a meter allows."""
    for name, value in (("LOADS", 5), ("STRETCH", (0.15, 0.4)), ("PAUSE", 0.6), ("IDLE_SECONDS", 0.3)):
        monkeypatch.setattr(f"edgeq_devices.profiling.{name}", value)


def test_a_meter_on_a_serial_port(edgeq: Edgeq, tiny_decoder: TinyDecoder, meter: str) -> None:
    arguments = ("-p", "0", "-n", "4", "-r", "2", "-t", "1", "--sustain", "0.5s", "--format", "json")
    outcome = edgeq("profile", tiny_decoder.directory, *arguments, "--power", f"external:{meter}?wait=20")
    (row,) = json.loads(outcome.out)["results"]
    assert row["energy_missing"] is None
    energy = row["energy"]
    assert energy["source"] == f"external meter {meter}"
    # The model's own process is none of those that the meter sees.
    assert [energy[name] for name in ("watts", "load_watts", "token_watts")] == pytest.approx([5.0] * 3, abs=0.5)
    assert energy["idle_watts"] == pytest.approx([5.0, 5.0], abs=0.5)


def test_a_recording_of_something_else_leaves_a_reason(edgeq: Edgeq, tiny_decoder: TinyDecoder, tmp_path: Path) -> None:
    recording = tmp_path / "meter.csv"
    recording.write_text("time_s,power_w\n" + "".join(f"{second / 10},3\n" for second in range(600)))
    arguments = ("-p", "0", "-n", "4", "-r", "1", "-t", "1", "--power", f"external:{recording}?wait=0")
    outcome = edgeq("profile", tiny_decoder.directory, *arguments)
    assert outcome.code == 0
    assert "energy: none, external meter: correlation: the recorded power does not follow the load" in outcome.out
