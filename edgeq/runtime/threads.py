# SPDX-License-Identifier: Apache-2.0
"""How many threads to run on."""

from __future__ import annotations

import os
from pathlib import Path

from edgeq.errors import EdgeqError

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
        EdgeqError: It is not positive.
    """
    if threads is None:
        return default_threads()
    if threads < 1:
        raise EdgeqError("invalid number of threads", field="threads", found=threads, wanted="at least 1")
    return threads
