# SPDX-License-Identifier: Apache-2.0
"""How many threads to run on."""

from __future__ import annotations

import os
from pathlib import Path

from edgeq.errors import EdgeqError

MOST = 1024
"""Threads; ONNX Runtime starts as many as it is asked for, and few machines bear more."""
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def default_threads() -> int:
    """The physical cores this process may use: hyper-threads share the units that kernels keep busy."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = set()
    for cpu in allowed:
        try:
            cores.add(Path(_SIBLINGS.format(cpu)).read_text(encoding="ascii"))
        except OSError:
            cores.add(str(cpu))
    return max(1, len(cores))


def check_threads(threads: int | None) -> int:
    """``threads``, or the default for ``None``.

    Raises:
        EdgeqError: It is not positive, or larger than `MOST`.
    """
    if threads is None:
        return default_threads()
    if not 1 <= threads <= MOST:
        raise EdgeqError("invalid number of threads", field="threads", found=threads, wanted=f"1 to {MOST}")
    return threads
