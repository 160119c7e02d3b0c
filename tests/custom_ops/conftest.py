# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the operator tests."""

from __future__ import annotations

import pytest

import edgeq_ops


@pytest.fixture(params=edgeq_ops.instruction_sets().available)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set of this CPU in turn, selected for the sessions that the test opens."""
    name: str = request.param
    monkeypatch.setenv("EDGEQ_ISA", name)
    return name
