# SPDX-License-Identifier: Apache-2.0
"""Output directories that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeq.errors import EdgeqError


def check_output(output: Path, *, force: bool = False) -> None:
    """Checks, before long work, that a directory can be made at ``output``.

    Raises:
        EdgeqError: Something is there already that may not be replaced, or there is no parent directory to write into.
    """
    output = output.absolute()
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise EdgeqError("cannot write here", file=output, found="a file or link", wanted="a directory or nothing")
    if output.is_mount():
        raise EdgeqError("cannot write here", file=output, found="a mount point", wanted="a directory inside it")
    if output.is_dir() and any(output.iterdir()) and not force:
        raise EdgeqError(
            "output directory not empty", file=output, remedy="choose another one, or replace it with --force"
        )
    existing = next(parent for parent in output.parents if parent.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise EdgeqError("cannot write here", file=existing, wanted="a directory that may be written")


@contextmanager
def new_directory(output: Path, *, force: bool = False) -> Iterator[Path]:
    """Yields an empty directory beside ``output`` that takes its place when the block ends.

    Whatever ends the block early (an error, Ctrl-C, a full disk) leaves ``output`` as it was and nothing beside it.

    Raises:
        EdgeqError: As `check_output`, or writing failed.
    """
    check_output(output, force=force)
    output = output.absolute()
    made = [parent for parent in output.parents if not parent.exists()]
    partial = output.with_name(f".{output.name}.partial-{secrets.token_hex(4)}")
    try:
        partial.mkdir(parents=True)
        yield partial
        _sync(partial)
        _take_place(partial, output)
    except BaseException as error:
        _discard(partial, made)
        if isinstance(error, OSError):
            raise _writing_failed(error, output) from error
        raise


def _discard(partial: Path, parents: list[Path]) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    for parent in parents:
        with suppress(OSError):
            parent.rmdir()


def _writing_failed(error: OSError, output: Path) -> EdgeqError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EdgeqError(
            "disk full", file=output, remedy="free space or choose another output directory; nothing was left behind"
        )
    return EdgeqError(f"writing the bundle failed ({error.strerror or error})", file=error.filename or output)


def _sync(directory: Path) -> None:
    """Flushes files and directories to disk, so that a name never outlives its content."""
    for path in [*directory.rglob("*"), directory]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _take_place(new: Path, output: Path) -> None:
    old = output.with_name(f".{output.name}.old-{secrets.token_hex(4)}")
    try:
        if output.exists():
            output.rename(old)
        new.rename(output)
    except BaseException:
        if old.exists() and not output.exists():
            old.rename(output)
        raise
    if old.exists():
        shutil.rmtree(old)
