# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeq.bundle.elf import elf_machine
from edgeq.errors import EdgeqError
from edgeq_ops import cross_build


def test_unknown_platforms_are_refused() -> None:
    with pytest.raises(EdgeqError, match="found linux-riscv64, wanted linux-aarch64, linux-armv7"):
        cross_build.toolchain_arguments("linux-riscv64")


@pytest.mark.parametrize("platform", cross_build.COMPILERS)
def test_every_platform_has_a_toolchain_file(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_build.shutil, "which", lambda name: f"/usr/bin/{name}")
    (argument,) = cross_build.toolchain_arguments(platform)
    assert Path(argument.removeprefix("-DCMAKE_TOOLCHAIN_FILE=")).is_file()


def test_without_a_compiler_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_build.shutil, "which", lambda _: None)
    monkeypatch.setattr(cross_build, "find_spec", lambda _: None)
    with pytest.raises(EdgeqError, match=r"wanted aarch64-linux-gnu-g\+\+ or the Python package ziglang; pip install"):
        cross_build.toolchain_arguments("linux-aarch64")


@pytest.mark.slow
@pytest.mark.skipif("EDGEQ_ARM_BUILD" not in os.environ, reason="not under `make test-arm`, which has a compiler")
def test_builds_a_library_for_the_platform(tmp_path: Path) -> None:
    library = cross_build.build_for("linux-aarch64", tmp_path / "lib" / "libedgeq_ops.so")
    assert elf_machine(library) == "aarch64"
