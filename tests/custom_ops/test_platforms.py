# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import EdgeqError
from edgeq_ops import library_path, platforms
from edgeq_ops.platforms import library_for


def test_this_platform_has_the_installed_library() -> None:
    assert library_for("linux-x86_64", "linux-x86_64") == library_path()


def test_another_platforms_library_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def build(platform: str, output: Path) -> Path:
        built.append(platform)
        output.parent.mkdir(parents=True)
        output.write_bytes(b"library")
        return output

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(platforms, "build_for", build)
    path = library_for("linux-aarch64", "linux-x86_64")
    assert path == library_for("linux-aarch64", "linux-x86_64")
    assert path.parent.name == "linux-aarch64"
    assert built == ["linux-aarch64"]
    monkeypatch.setattr(platforms, "_sources_hash", lambda: "changed")
    library_for("linux-aarch64", "linux-x86_64")
    assert built == ["linux-aarch64"] * 2


def test_unknown_platforms_and_missing_sources_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EdgeqError, match="cannot build the operators, found linux-mips"):
        library_for("linux-mips", "linux-x86_64")
