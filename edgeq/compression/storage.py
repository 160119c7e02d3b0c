# SPDX-License-Identifier: Apache-2.0
"""How fast files are read from where a bundle lies."""

from __future__ import annotations

import os
import time
from pathlib import Path

SAMPLE_BYTES = 64 << 20
CHUNK = 4 << 20


def read_bandwidth(path: Path) -> float:
    """Bytes per second of reading a file that the system has dropped from its page cache; ``inf`` for an empty one.

    Where the cache cannot be dropped (other systems than Linux, memory file systems), this is the speed of the cache.
    """
    size = min(path.stat().st_size, SAMPLE_BYTES)
    buffer = memoryview(bytearray(CHUNK))
    with path.open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, size, os.POSIX_FADV_DONTNEED)
        start, read = time.perf_counter(), 0
        while read < size and (count := file.readinto(buffer)):
            read += count
    elapsed = time.perf_counter() - start
    return read / elapsed if read else float("inf")
