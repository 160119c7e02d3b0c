# SPDX-License-Identifier: Apache-2.0
"""Which machine a shared library was built for."""

from __future__ import annotations

import struct
from pathlib import Path

from edgeq.errors import EdgeqError

# e_machine of the ELF specification: EM_ARM, EM_X86_64, EM_AARCH64, EM_RISCV.
_MACHINES = {40: "armv7", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


def elf_machine(path: Path) -> str:
    """The machine of an ELF shared library, as `edgeq.bundle.platforms` names it.

    Raises:
        EdgeqError: The file is not an ELF file.
    """
    with path.open("rb") as file:
        header = file.read(20)
    if len(header) < 20 or header[:4] != b"\x7fELF":
        raise EdgeqError("not a shared library", file=path, found=repr(header[:4]), wanted="an ELF file")
    order = "<" if header[5] == 1 else ">"
    number = int(struct.unpack_from(order + "H", header, 18)[0])
    return _MACHINES.get(number, f"machine {number}")


def check_machine(path: Path, platform: str) -> None:
    """Checks that a library suits a platform such as ``linux-aarch64``; other systems' libraries are not ELF and pass.

    Raises:
        EdgeqError: It is for another machine.
    """
    system, _, wanted = platform.partition("-")
    if system != "linux":
        return
    found = elf_machine(path)
    if found != wanted:
        raise EdgeqError(
            "operator library of another architecture",
            file=path,
            found=found,
            wanted=wanted,
            remedy="export the bundle again",
        )
