# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's telemetry is off unless the user has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

VARIABLE = "ORT_DISABLE_TELEMETRY"


@pytest.mark.parametrize(("given", "found"), [(None, "1"), ("0", "0")])
def test_importing_edgeq_turns_telemetry_off(given: str | None, found: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    script = f"import edgeq, os; print(os.environ[{VARIABLE!r}])"
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | ({} if given is None else {VARIABLE: given}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == found
