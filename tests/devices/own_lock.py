# SPDX-License-Identifier: Apache-2.0
"""Agents that lock a file of their own where others of this machine share one: who else measures here is no matter."""

from __future__ import annotations

from pathlib import Path

from edgeq_devices.agent.lock import SHARED_LOCK

REDIRECT = f"""import os
def _open(path, *rest, _opened=os.open, **more):
    return _opened({{own!r}} if str(path) == {SHARED_LOCK!r} else path, *rest, **more)
os.open = _open
"""


def write_site(directory: Path, more: str = "") -> None:
    """Writes what an interpreter runs first that has the directory in its PYTHONPATH."""
    (directory / "sitecustomize.py").write_text(REDIRECT.format(own=str(directory / "lock")) + more)
