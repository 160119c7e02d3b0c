# SPDX-License-Identifier: Apache-2.0
"""``run.py DIRECTORY``: cross-builds the operators for 64-bit ARM in DIRECTORY and runs their tests under qemu-user.

Without the registry, an emulator or a compiler nothing is tested, and the reason is said.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq_ops.cross_build import SOURCES, toolchain_arguments
from tests.custom_ops.arm import rootfs

TESTS = ("tests/custom_ops/test_arm.py", "tests/custom_ops/test_cross_build.py", "tests/devices/test_emulated_board.py")


def main(directory: Path) -> int:
    root, build = directory / "root", directory / "native"
    try:
        qemu = rootfs.emulator(directory / "emulator")
        rootfs.make(root)
        toolchain = toolchain_arguments("linux-aarch64")
    except (rootfs.UnavailableError, EdgeqError) as error:
        sys.stdout.write(f"ARM tests SKIPPED: {error}\n")
        return 0
    configure = [*toolchain, "-DEDGEQ_BUILD_TESTS=ON", f"-DEDGEQ_SYSROOT={root}", f"-DEDGEQ_EMULATOR={qemu}"]
    jobs = str(os.cpu_count() or 1)
    _run("cmake", "-S", str(SOURCES), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release", *configure)
    _run("cmake", "--build", str(build), "--parallel", jobs)
    _run("ctest", "--test-dir", str(build), "--output-on-failure", "--parallel", jobs)
    os.environ.update(EDGEQ_ARM_EMULATOR=str(qemu), EDGEQ_ARM_ROOT=str(root), EDGEQ_ARM_BUILD=str(build))
    _run(sys.executable, "-m", "pytest", *TESTS)
    return 0


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
