# SPDX-License-Identifier: Apache-2.0
"""This machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq_devices.agent.lock import SHARED_LOCK


class LocalTransport:
    """Commands of this machine, as they are.

    Args:
        root: Directory of edgeq's files.
    """

    name = "local"

    def __init__(self, root: Path | None = None) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.root, self.lock = str(root or cache / "edgeq"), "" if root else SHARED_LOCK

    def command(self, argv: Sequence[str]) -> list[str]:
        """``argv`` itself."""
        return list(argv)

    def explain(self, code: int, stderr: str) -> EdgeqError | None:
        """There is no connection that could fail."""
        return None

    def close(self) -> None:
        """There is no connection to end."""
