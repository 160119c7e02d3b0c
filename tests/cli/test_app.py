# SPDX-License-Identifier: Apache-2.0
"""What the command line does with failures and signals, whatever the verb."""

from __future__ import annotations

import signal

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


def test_a_termination_is_an_interrupt(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeq.cli.doctor.command", lambda: signal.raise_signal(signal.SIGTERM))
    assert edgeq("doctor").code == 130
