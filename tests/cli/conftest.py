# SPDX-License-Identifier: Apache-2.0
"""The command line, called in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgeq.cli import app


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Edgeq = Callable[..., Outcome]


@pytest.fixture
def edgeq(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Edgeq:
    """``edgeq("export", "model", "-o", "out")`` as the shell would call it; whoever else measures here is no matter."""
    monkeypatch.setattr("edgeq_devices.transports.local.SHARED_LOCK", str(tmp_path / "edgeq.lock"))

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr("sys.argv", ["edgeq", *map(str, arguments)])
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        code = 0
        try:
            app.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        captured = capsys.readouterr()
        sys.stderr.write(captured.err)  # for the report of a test that fails
        return Outcome(code, captured.out, captured.err)

    return call
