# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgeq_devices.agent import main, orphan


def test_a_worker_dies_with_its_agent_before_it_imports_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    class Worker(SimpleNamespace):
        @property
        def work(self) -> object:
            order.append("imported")
            return lambda *arguments: order.append("worked")

    monkeypatch.setattr(orphan, "die_with_parent", lambda: order.append("bound"))
    monkeypatch.setitem(sys.modules, "edgeq_devices.agent.worker", Worker())
    main.work(tmp_path)
    assert order == ["bound", "imported", "worked"]
