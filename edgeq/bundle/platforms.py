# SPDX-License-Identifier: Apache-2.0
"""Names of platforms and of the operator library on each."""

from __future__ import annotations

import platform
import sys

LIBRARY_NAME = "libedgeq_ops.so"
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64", "armv7l": "armv7"}


def current_platform() -> str:
    """The platform of this machine, e.g. ``linux-x86_64``."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{_MACHINES.get(machine, machine)}"


def library_location(platform_name: str) -> str:
    """Where a bundle keeps the operator library of a platform, relative to the bundle."""
    return f"lib/{platform_name}/{LIBRARY_NAME}"
