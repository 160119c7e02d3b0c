# SPDX-License-Identifier: Apache-2.0
"""Does a bundle run within so much memory?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeq.bundle.manifest import read_manifest
from evidence.double.speed import run_worker, weight_bytes


def run_limited(bundle: Path, memory: int, generated: int, threads: int) -> dict[str, Any]:
    """Loads and runs a bundle in a process with ``memory`` bytes of addresses beyond those of the libraries."""
    return {
        "bundle": bundle.name,
        "limit": memory,
        "threads": threads,
        **weight_bytes(read_manifest(bundle)),
        **run_worker(bundle, 0, generated, threads, memory),
    }
