# SPDX-License-Identifier: Apache-2.0
"""Are the files of a bundle those that were written? Paths, sizes and hashes."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath, PureWindowsPath

from edgeq.bundle.manifest import MANIFEST_NAME, FileRecord, Manifest
from edgeq.errors import EdgeqError

REMEDY = "copy the bundle again, or export it again: edgeq export MODEL -o OUT"
READ_BYTES = 4 << 20
HASHING_THREADS = 4


def confined_path(directory: Path, name: str, field: str) -> Path:
    """The path of ``name``, which lies inside ``directory`` even when symbolic links are followed.

    Args:
        directory: The bundle.
        name: A relative path with forward slashes, as the manifest writes it.
        field: Where the name was found, for the error.

    Raises:
        EdgeqError: The name is empty or absolute, has a ``..``, or a symbolic link leads out of the bundle.
    """
    pure = PurePosixPath(name)
    foreign = "\\" in name or "\0" in name or PureWindowsPath(name).drive
    if foreign or pure.is_absolute() or ".." in pure.parts or pure == PurePosixPath():
        raise EdgeqError(
            "unsafe path", file=directory, field=field, found=repr(name), wanted="a path inside the bundle"
        )
    path = directory / pure
    if not path.resolve().is_relative_to(directory.resolve()):
        raise EdgeqError(
            "unsafe path",
            file=directory,
            field=field,
            found=f"{name} -> {path.resolve()}",
            wanted="a path inside the bundle",
        )
    return path


def check_files(directory: Path, manifest: Manifest, *, hashes: bool) -> None:
    """Checks every file that the manifest records.

    Args:
        directory: The bundle.
        manifest: Its manifest.
        hashes: Also compare SHA-256 digests; about 1.3 GB/s per thread where the CPU has SHA instructions.

    Raises:
        EdgeqError: A file lies outside the bundle, is missing, has another size or, with ``hashes``, another content.
    """
    paths = {name: confined_path(directory, name, f"{MANIFEST_NAME}: files") for name in manifest.files}
    for name, record in manifest.files.items():
        _check_size(paths[name], record)
    if hashes:
        with ThreadPoolExecutor(HASHING_THREADS) as pool:  # hashlib works outside the interpreter lock
            for _ in pool.map(_check_hash, paths.values(), manifest.files.values()):
                pass


def sha256_of(path: Path) -> str:
    """The SHA-256 digest of a file, in hexadecimal."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(READ_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def _check_size(path: Path, record: FileRecord) -> None:
    if not path.is_file():
        raise EdgeqError("missing file", file=path, wanted=f"{record.size} bytes", remedy=REMEDY)
    size = path.stat().st_size
    if size != record.size:
        problem = "truncated file" if size < record.size else "changed file"
        raise EdgeqError(problem, file=path, found=f"{size} bytes", wanted=f"{record.size} bytes", remedy=REMEDY)


def _check_hash(path: Path, record: FileRecord) -> None:
    found = sha256_of(path)
    if found != record.sha256:
        raise EdgeqError("changed file", file=path, field="sha256", found=found, wanted=record.sha256, remedy=REMEDY)
