# SPDX-License-Identifier: Apache-2.0
"""Results as lines of JSON, each with its kind and the conditions under which it was measured."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("edgeq", "onnxruntime", "torch", "zstandard", "lz4")


class Lines:
    """A file of results; several processes may append to it.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The results of a kind, in the order of measurement."""
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        return [line for line in map(json.loads, text.splitlines()) if line["kind"] == kind]

    def append(self, kind: str, values: dict[str, Any]) -> None:
        """Adds a line."""
        line = {"kind": kind, **values, "conditions": _conditions()}
        with self.path.open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps(line) + "\n")


def _conditions() -> dict[str, Any]:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"commit": commit, "load_average": os.getloadavg()[0], **{name: version(name) for name in LIBRARIES}}
