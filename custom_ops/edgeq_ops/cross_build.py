# SPDX-License-Identifier: Apache-2.0
"""Builds the operator library for another platform, from the sources of an editable installation or a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq_ops.library import LIBRARY_NAME

SOURCES = Path(__file__).resolve().parents[1]
TOOLCHAINS = SOURCES.parent / "devices" / "toolchains"
COMPILERS = {"linux-aarch64": "aarch64-linux-gnu-g++", "linux-armv7": "arm-linux-gnueabihf-g++"}
"""Platforms that can be built for, and the system's compiler for each."""


def build_for(platform: str, output: Path) -> Path:
    """Builds the operator library for ``platform``.

    The system's cross compiler is used where there is one, else the one of package ``ziglang``.

    Args:
        platform: One of `COMPILERS`.
        output: The file to write.

    Returns:
        ``output``.

    Raises:
        EdgeqError: The platform is unknown; sources, CMake or a compiler are missing; or the build fails.
    """
    arguments = toolchain_arguments(platform)
    if not (SOURCES / "CMakeLists.txt").is_file():
        raise EdgeqError("no sources of the operators", file=SOURCES, remedy="build from a checkout of edgeq")
    with tempfile.TemporaryDirectory(prefix="edgeq-") as build:
        _run("cmake", "-S", str(SOURCES), "-B", build, "-DCMAKE_BUILD_TYPE=Release", *arguments)
        _run("cmake", "--build", build, "--target", "edgeq_ops", "--parallel", str(os.cpu_count() or 1))
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(build) / LIBRARY_NAME, output)
    return output


def toolchain_arguments(platform: str) -> list[str]:
    """CMake's arguments to build for ``platform``.

    Raises:
        EdgeqError: The platform is unknown, or there is no compiler for it.
    """
    if platform not in COMPILERS:
        raise EdgeqError("cannot build the operators", field="platform", found=platform, wanted=", ".join(COMPILERS))
    arguments = [f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAINS / platform.removeprefix('linux-')}-linux.cmake"]
    if shutil.which(COMPILERS[platform]):
        return arguments
    zig = find_spec("ziglang")
    if zig is None or zig.origin is None:
        raise EdgeqError(
            "no compiler for the operators",
            field=platform,
            wanted=f"{COMPILERS[platform]} or the Python package ziglang",
            remedy="pip install 'edgeq[cross]'",
        )
    return [*arguments, f"-DEDGEQ_ZIG={Path(zig.origin).with_name('zig')}"]


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise EdgeqError("no such program", found=command[0], remedy="pip install cmake") from error
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        failure = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no message")
        raise EdgeqError("building the operators failed", field=" ".join(command[:2]), found=failure)
