# SPDX-License-Identifier: Apache-2.0
"""A pseudo-terminal stands for the port; what is written at its other end is the meter's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.external.recording import Recording
from edgeq_devices.external.serial_port import SerialPort


class Wire:
    """Both ends of a serial line."""

    def __init__(self) -> None:
        self.end, slave = os.openpty()
        self.path, self._slave = Path(os.ttyname(slave)), slave

    def send(self, text: str) -> None:
        """What the meter prints."""
        os.write(self.end, text.encode())

    def close(self) -> None:
        """Unplugs it."""
        for descriptor in (self.end, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        self.end = self._slave = -1


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def wait(get: Callable[[], Recording], samples: int) -> Recording:
    """Until so many samples have arrived."""
    end = time.monotonic() + 20
    while True:
        try:
            if len((found := get()).seconds) >= samples:
                return found
        except EdgeqError:
            if time.monotonic() > end:
                raise
        time.sleep(0.01)


def refusal(port: SerialPort, message: str) -> str:
    """What is said of the port, once it is this or 20 seconds have passed."""
    end, found = time.monotonic() + 20, ""
    while message not in found and time.monotonic() < end:
        time.sleep(0.01)
        try:
            port.recording()
        except EdgeqError as error:
            found = str(error)
    return found


def test_lines_have_the_time_of_their_arrival(wire: Wire) -> None:
    before = time.monotonic()
    with SerialPort(wire.path, 115200) as port:
        wire.send("5.0,0.")
        time.sleep(0.02)
        wire.send("5\r\n5.0,0.6\n5,0.7\n")
        recording = wait(port.recording, 3)
    np.testing.assert_allclose(recording.watts, [2.5, 3.0, 3.5])
    assert before < recording.seconds[0] < recording.seconds[-1] < time.monotonic()


def test_lines_have_the_meters_time_where_they_tell_it(wire: Wire) -> None:
    with SerialPort(wire.path, 9600, ("time_s", "power_w")) as port:
        wire.send("0.1,2\n0.2,3\n")
        recording = wait(port.recording, 2)
    np.testing.assert_array_equal(recording.seconds, [0.1, 0.2])


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("", "nothing comes from the meter"),
        ("V=5.0 A=0.1\n" * 3, "the meter's lines cannot be read, found 'V=5.0 A=0.1'"),
        ("\x1b[31m\n" * 3, "the meter's lines cannot be read"),
        ("1\nnan\nnan\n", "the meter's lines cannot be read"),
        ("1" * 3000, "no line ends within 1000 bytes"),
        ("time_s,power_w\n2,1\n1,1\n", "times do not ascend"),
    ],
)
def test_what_is_no_stream_of_samples_is_refused(wire: Wire, sent: str, message: str) -> None:
    with SerialPort(wire.path, 115200) as port:
        wire.send(sent)
        found = refusal(port, message)
    assert message in found
    assert "\x1b" not in found


def test_an_unplugged_meter_is_reported(wire: Wire) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(SerialPort(wire.path, 115200))
        wire.send("1\n2\n")
        wait(port.recording, 2)
        wire.close()
        assert "the meter failed" in refusal(port, "the meter failed")


def test_ports_that_cannot_be_used_are_refused(wire: Wire, tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match="unknown speed, found 1234"):
        SerialPort(wire.path, 1234)
    with pytest.raises(EdgeqError, match="cannot be opened"):
        SerialPort(tmp_path / "none", 9600)
    with pytest.raises(EdgeqError, match="not a serial port"):
        SerialPort(Path("/dev/null"), 9600)
