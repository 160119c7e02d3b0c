# SPDX-License-Identifier: Apache-2.0
"""What the command line does with failures and signals, whatever the verb."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeq.errors import EdgeqError
from tests.cli.conftest import Edgeq


def _verb_that(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def command() -> None:
        raise error

    monkeypatch.setattr("edgeq.cli.doctor.command", command)


def test_an_error_is_one_line(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch) -> None:
    _verb_that(monkeypatch, EdgeqError("wrong", file="f", field="x", found=1, wanted=2, remedy="mend it"))
    outcome = edgeq("doctor")
    assert (outcome.code, outcome.out, outcome.err) == (
        2,
        "",
        "edgeq: error: f: x: wrong, found 1, wanted 2; mend it\n",
    )


def test_an_interrupt_is_one_line(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch) -> None:
    _verb_that(monkeypatch, KeyboardInterrupt())
    outcome = edgeq("doctor")
    assert (outcome.code, outcome.out, outcome.err.strip()) == (130, "", "edgeq: interrupted")


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_the_output_is_one_line() -> None:
    command = [sys.executable, "-m", "edgeq.cli.app", "doctor"]
    with FULL.open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "edgeq: error: cannot write the output (No space left on device)\n")


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_closed_streams_are_no_trouble(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch, stream: str) -> None:
    monkeypatch.setattr(sys, stream, None)
    monkeypatch.setattr(
        "edgeq.cli.doctor.command", lambda: [sys.stdin.read(), sys.stdout.write("x"), sys.stderr.write("y")]
    )
    if stream != "stdin":  # pytest's own standard input may not be read
        monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert edgeq("doctor").code == 0


@pytest.fixture
def handlers() -> Iterator[None]:
    """Those of the test's own process come back."""
    before = {ending: signal.getsignal(ending) for ending in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for ending, handler in before.items():
        signal.signal(ending, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_is_an_interrupt(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals) -> None:
    signal.signal(ending, signal.SIG_DFL)
    monkeypatch.setattr("edgeq.cli.doctor.command", lambda: signal.raise_signal(ending))
    assert edgeq("doctor").code == 130


@pytest.mark.usefixtures("handlers")
def test_nohup_protects(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr("edgeq.cli.doctor.command", lambda: signal.raise_signal(signal.SIGHUP))
    assert edgeq("doctor").code == 0
