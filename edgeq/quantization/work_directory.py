# SPDX-License-Identifier: Apache-2.0
"""Finished blocks on disk, so that a run that was cut off continues where it was.

The directory belongs to one run: a fingerprint says of which model, plan and calibration its blocks are.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.version import __version__

STATE_NAME = "run.json"
BLOCK_NAME = "block-{}.safetensors"
LIBRARIES = ("torch", "transformers", "numpy")

Fingerprint = dict[str, str | int | bool]


def library_versions() -> Fingerprint:
    """Versions of what a result depends on."""
    return {"edgeq": __version__, **{name: version(name) for name in LIBRARIES}}


class WorkDirectory:
    """Blocks of one run; another one cannot open the directory until `release`.

    Attributes:
        scratch: Where large temporary files may lie.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self.scratch = directory or Path(tempfile.gettempdir())
        self._lock: int | None = None

    @classmethod
    def open(cls, directory: Path | None, fingerprint: Fingerprint) -> WorkDirectory:
        """Makes the directory, or continues the run that it holds; ``None`` keeps nothing.

        A run that finished no block gives way to any other.

        Raises:
            EdgeqError: It holds finished blocks of another run, or files of another kind, cannot be written, or is in
                use.
        """
        if directory is None:
            return cls(None)
        work = cls(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            work._acquire(directory)
            work._take(directory, fingerprint)
        except OSError as error:
            work.release()
            raise EdgeqError(f"cannot use the work directory ({error.strerror})", file=directory) from error
        except EdgeqError:
            work.release()
            raise
        return work

    def _acquire(self, directory: Path) -> None:
        self._lock = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
        except BlockingIOError as error:
            raise EdgeqError(
                "another run is using the work directory",
                file=directory,
                remedy="wait until it ends, or give this run its own with --work-dir",
            ) from error

    def release(self) -> None:
        """Lets another run open the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take(self, directory: Path, fingerprint: Fingerprint) -> None:
        state = directory / STATE_NAME
        if state.exists():
            found = _read(state)
            if found == fingerprint:
                return
            if any(directory.glob(BLOCK_NAME.format("*"))):
                raise _differs(directory, found, fingerprint)
            for path in directory.iterdir():
                path.unlink()
        elif any(directory.iterdir()):
            raise EdgeqError(
                "not a work directory", file=directory, found=f"files, but no {STATE_NAME}", wanted="an empty one"
            )
        _write(state, json.dumps(fingerprint, indent=2).encode())

    def load(self, index: int) -> dict[str, Tensor] | None:
        """The tensors of a finished block, ``None`` if it is not finished.

        Raises:
            EdgeqError: The file is damaged.
        """
        path = self._path(index)
        if path is None or not path.exists():
            return None
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise EdgeqError(f"damaged block ({error})", file=path, remedy="delete this file and run again") from error

    def save(self, index: int, tensors: dict[str, Tensor]) -> None:
        """Keeps a finished block; the file appears whole or not at all.

        Raises:
            EdgeqError: It cannot be written.
        """
        path = self._path(index)
        if path is None:
            return
        partial = path.with_suffix(".partial")
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
            partial.rename(path)
        except (SafetensorError, OSError) as error:
            raise EdgeqError(f"cannot keep the finished block ({error})", file=path, remedy="free space") from error

    def remove(self) -> None:
        """Deletes the directory: the run is complete."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def remove_unless_begun(self) -> None:
        """Deletes the directory if nothing in it is worth going on with."""
        directory = self._directory
        if directory is not None and directory.is_dir() and [p.name for p in directory.iterdir()] == [STATE_NAME]:
            self.remove()

    def _path(self, index: int) -> Path | None:
        return None if self._directory is None else self._directory / BLOCK_NAME.format(f"{index:04d}")


def _read(state: Path) -> Fingerprint:
    try:
        found = json.loads(state.read_bytes())
    except ValueError as error:
        raise EdgeqError("damaged work directory", file=state, remedy="delete the directory") from error
    return found if isinstance(found, dict) else {}


def _differs(directory: Path, found: Fingerprint, wanted: Fingerprint) -> EdgeqError:
    field = min(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return EdgeqError(
        "unfinished run with other settings",
        file=directory,
        field=field,
        found=found.get(field),
        wanted=wanted.get(field),
        remedy="repeat that run's settings, delete the directory, or choose another --work-dir",
    )


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.rename(path)
