# SPDX-License-Identifier: Apache-2.0
"""Files on the board by the hash of their content: sent once, resumed where they were cut off, verified.

Bundles are directories of hard links into the store, so that two bundles share what they have in common.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import string
from pathlib import Path, PurePosixPath
from typing import BinaryIO

BLOCK = 1 << 20
RESERVE = 16 << 20  # bytes of the disk that are left free
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "._-")


class StoreError(Exception):
    """Something about the store that the user can mend."""


class Store:
    """The store below a directory.

    Args:
        root: edgeq's directory on the board; made if it is missing.
    """

    def __init__(self, root: Path) -> None:
        self.root, self._blobs, self._bundles = root, root / "blobs", root / "bundles"
        for directory in (self._blobs, self._bundles):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def present(self, digest: str) -> int:
        """Bytes of a file that are here already."""
        for path in (self._blob(digest), self._part(digest)):
            if path.exists():
                return path.stat().st_size
        return 0

    def receive(self, digest: str, size: int, offset: int, stream: BinaryIO) -> int:
        """Appends a stream to what is here from ``offset`` on; a complete file is verified and kept.

        Returns:
            Bytes that are here afterwards; less than ``size`` if the stream ended early.

        Raises:
            StoreError: The disk is full, somebody else sends the same file, the offset is not where the file ends, or
                the content has another hash.
        """
        blob, part = self._blob(digest), self._part(digest)
        if blob.exists():
            return size
        free = shutil.disk_usage(self.root).free - RESERVE
        if free < size - offset:
            raise StoreError(f"disk full: {max(free, 0)} bytes free below {self.root}, wanted {size - offset}")
        try:
            received = _append(stream, part, offset, size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            part.unlink()  # it would keep others from the space too
            raise StoreError(f"disk full: no space left below {self.root}") from error
        if received < size:
            return received
        if (found := _hash(part)) != digest:
            part.unlink()
            raise StoreError(f"the received file has another hash: found {found[:12]}…, wanted {digest[:12]}…")
        part.rename(blob)
        return size

    def link(self, name: str, files: dict[str, str]) -> Path:
        """A directory with these files (relative path to hash); what it held before is replaced.

        Raises:
            StoreError: A path leaves the directory, or a file is not in the store.
        """
        directory = self._bundle(name)
        if self._holds(directory, files):
            return directory  # where somebody may be measuring
        fresh = directory.with_name(f".{directory.name}.partial-{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            for relative, digest in files.items():
                target = fresh / inside(relative)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(self._blob(digest), target)
                except FileNotFoundError:
                    raise StoreError(f"{relative}: not in the store") from None
            shutil.rmtree(directory, ignore_errors=True)
            fresh.rename(directory)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return directory

    def _holds(self, directory: Path, files: dict[str, str]) -> bool:
        """Whether it has these files, and no others."""
        there = {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}
        blobs = {str(inside(relative)): self._blob(digest) for relative, digest in files.items()}
        return there.keys() == blobs.keys() and all(
            blob.exists() and there[relative].samefile(blob) for relative, blob in blobs.items()
        )

    def remove(self, name: str) -> None:
        """Removes a bundle, and the files that no bundle uses any more."""
        shutil.rmtree(self._bundle(name), ignore_errors=True)
        for blob in self._blobs.iterdir():
            if blob.stat().st_nlink == 1 and blob.suffix != ".part":
                blob.unlink()

    def _blob(self, digest: str) -> Path:
        if not _SHA256.fullmatch(digest):
            raise StoreError(f"found {digest[:80]!r}, wanted a SHA-256 in hexadecimal digits")
        return self._blobs / digest

    def _part(self, digest: str) -> Path:
        return self._blob(digest).with_suffix(".part")

    def _bundle(self, name: str) -> Path:
        if not name or name.startswith(".") or not _NAME_CHARACTERS.issuperset(name):
            raise StoreError(f"found {name[:80]!r}, wanted a plain name")
        return self._bundles / name


def inside(relative: str) -> PurePosixPath:
    """A path that stays in the directory that it is relative to.

    Raises:
        StoreError: It does not.
    """
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in relative:
        raise StoreError(f"found path {relative[:80]!r}, wanted one inside the bundle")
    return path


def _append(stream: BinaryIO, part: Path, offset: int, size: int) -> int:
    """Appends what comes to a file of ``offset`` bytes that shall have ``size``; how many it has then."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError("somebody else is sending the same file; try again when that has ended") from None
        if file.tell() != offset:
            raise StoreError(f"{part.name}: found {file.tell()} bytes, wanted {offset}")
        _copy(stream, file, size - offset)
        return file.tell()


def _copy(stream: BinaryIO, file: BinaryIO, count: int) -> None:
    while count:
        block = stream.read(min(BLOCK, count))
        if not block:
            return
        file.write(block)
        count -= len(block)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
