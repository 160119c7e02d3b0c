# SPDX-License-Identifier: Apache-2.0
"""The operator library for any platform: this installation's own, or one built once and kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from edgeq_ops.cross_build import SOURCES, build_for
from edgeq_ops.library import LIBRARY_NAME, library_path

SUFFIXES = (".cc", ".h", ".cmake", ".txt", ".map")


def library_for(platform: str, current: str) -> Path:
    """The library for ``platform``.

    Args:
        platform: Such as ``linux-aarch64``.
        current: This machine's.

    Raises:
        EdgeqError: The platform is unknown, or its library cannot be built here.
    """
    if platform == current:
        return library_path()
    if not has_sources():
        return build_for(platform, Path())  # says what is missing
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeq" / "libraries"
    path = cache / _sources_hash() / platform / LIBRARY_NAME
    return path if path.is_file() else build_for(platform, path)


def has_sources() -> bool:
    """Whether this is an editable installation or a checkout."""
    return (SOURCES / "CMakeLists.txt").is_file()


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix in SUFFIXES:
            digest.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
