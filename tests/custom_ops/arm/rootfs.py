# SPDX-License-Identifier: Apache-2.0
"""64-bit ARM Debian with Python, NumPy, ONNX Runtime, sshd, and an emulator of the CPU, from the package registries.

Nothing is installed and no rights are needed: packages are downloaded with a private package list and unpacked.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

EMULATOR = "qemu-aarch64-static"
# What Python and ONNX Runtime need, and a board that is reached over ssh; nothing is configured.
DEBIAN_PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libc6", "libgcc-s1", "zlib1g")
BOARD_PACKAGES = ("openssh-server", "coreutils", "dash", "procps")
WHEELS = ("onnxruntime", "numpy")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")
PROCESSORS = 2
# ONNX Runtime reads these, and qemu before 8 shows it the host's, which it does not survive.
CPU_INFO = """processor\t: {number}
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

"""


class UnavailableError(Exception):
    """The registries, or the tools that ask them, are missing here."""


def emulator(directory: Path) -> Path:
    """The emulator: the system's, or one unpacked into ``directory``."""
    found = shutil.which(EMULATOR) or shutil.which(EMULATOR.removesuffix("-static"))
    if found:
        return Path(found)
    unpacked = directory / "usr" / "bin"
    if not any(unpacked.glob("qemu-aarch64*")):
        _unpack(directory, platform.machine(), ("qemu-user-static", "qemu-user"), dependencies=False)
    for name in (EMULATOR, EMULATOR.removesuffix("-static")):
        if (unpacked / name).is_file() and (unpacked / name).stat().st_size > 1 << 20:
            return unpacked / name
    raise UnavailableError("no qemu-user in the registry's packages")


def python(root: Path) -> Path:
    """The interpreter of a root directory."""
    return next(path for path in sorted((root / "usr/bin").glob("python3.*")) if path.name[9:].isdigit())


def make(root: Path) -> None:
    """Makes the root directory, unless it is complete."""
    packages = (*DEBIAN_PACKAGES, *BOARD_PACKAGES)
    complete, content = root / ".complete", "\n".join([*packages, *_pins()])
    if complete.is_file() and complete.read_text() == content:
        return
    shutil.rmtree(root, ignore_errors=True)
    _unpack(root, "aarch64", packages, dependencies=True)
    for name in ("bin", "lib", "sbin"):  # newer packages rely on links that the installer makes
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    _add_wheels(root)
    _describe_cpus(root)
    _add_accounts(root)
    complete.write_text(content)


def _unpack(root: Path, machine: str, packages: tuple[str, ...], dependencies: bool) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise UnavailableError("no apt-get and dpkg-deb to fetch Debian's packages with")
    state = root.with_name(root.name + ".apt")
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    options = _apt_options(state.resolve(), {"aarch64": "arm64", "x86_64": "amd64"}.get(machine, machine))
    _run("apt-get", *options, "update")
    if dependencies:
        _run("apt-get", *options, "install", "--no-install-recommends", "--download-only", "--yes", *packages)
    else:
        _fetch_first(options, packages, state / "cache" / "archives")
    for archive in sorted((state / "cache" / "archives").glob("*.deb")):
        _run("dpkg-deb", "-x", str(archive), str(root))
    shutil.rmtree(state)


def _fetch_first(options: list[str], packages: tuple[str, ...], directory: Path) -> None:
    for package in packages:
        try:
            _run("apt-get", *options, "download", package, directory=directory)
        except UnavailableError:
            if package == packages[-1]:
                raise
        else:
            return


def _apt_options(state: Path, architecture: str) -> list[str]:
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "APT::Sandbox::User": "root",  # that is, the caller
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Debug::NoLocking": "1",
    }
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _add_wheels(root: Path) -> None:
    number = python(root).name.removeprefix("python3.")
    wheels = root / "wheels"
    platforms = [part for name in PLATFORMS for part in ("--platform", name)]
    abis = [part for name in (f"cp3{number}", "abi3", "none") for part in ("--abi", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"]
    _run(*command, str(wheels), *platforms, "--python-version", f"3.{number}", *abis, *_pins())
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root / "site")
    shutil.rmtree(wheels)
    packages = root / "usr/lib/python3/dist-packages"
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "wheels.pth").write_text("/site\n")


def _pins() -> list[str]:
    return [f"{name}=={version(name)}" for name in WHEELS]


def _add_accounts(root: Path) -> None:
    """What the installer would do: root, and the user that sshd takes for strangers."""
    users = "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
    (root / "etc/passwd").write_text(users)
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")


def _describe_cpus(root: Path) -> None:
    files = {"proc/cpuinfo": "".join(CPU_INFO.format(number=number) for number in range(PROCESSORS))}
    system = "sys/devices/system/cpu"
    for name in ("present", "possible", "online"):
        files[f"{system}/{name}"] = f"0-{PROCESSORS - 1}\n"
    files[f"{system}/kernel_max"] = f"{PROCESSORS - 1}\n"
    for number in range(PROCESSORS):
        files[f"{system}/cpu{number}/topology/core_id"] = f"{number}\n"
        files[f"{system}/cpu{number}/topology/physical_package_id"] = "0\n"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def _run(*command: str, directory: Path | None = None) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UnavailableError(f"{Path(command[0]).name} {command[-1]}: {reason}")
