# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
import time

import pytest

from edgeq_devices.transports import capture as module
from edgeq_devices.transports.capture import LOG_BYTES, TooMuchOutputError, capture
from tests.devices.processes import PATIENCE


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_streams_and_exit_code_are_those_of_the_command() -> None:
    code = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1]); sys.exit('words')"
    content = bytes(range(256)) * 4096
    done = capture(python(code), content, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (1, content[::-1], b"words\n")


def test_output_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OUTPUT_BYTES", 1 << 20)
    with pytest.raises(TooMuchOutputError):
        capture(["yes"], b"", timeout=PATIENCE)


def test_of_messages_the_end_is_kept() -> None:
    done = capture(python("import sys; sys.stderr.write('x' * 100_000 + 'end')"), b"", timeout=PATIENCE)
    assert len(done.stderr) == LOG_BYTES
    assert done.stderr.endswith(b"xend")


def test_a_command_that_reads_nothing_and_hangs_is_ended() -> None:
    start = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        capture(["sleep", "1000"], b"x" * 10_000_000, timeout=0.2)
    assert time.monotonic() - start < PATIENCE
