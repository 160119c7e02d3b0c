# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: a directory or hub id, read tensor by tensor from safetensors."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from edgeq.errors import EdgeqError

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
HUB_PATTERNS = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
MAX_HEADER = 100_000_000  # the limit of the safetensors format


def resolve_model(model: str, revision: str | None = None) -> Path:
    """The local directory of ``model``: itself, or the hub's snapshot (downloaded unless ``HF_HUB_OFFLINE`` is set).

    Raises:
        EdgeqError: There is no such directory and no such model on the hub, or it cannot be reached.
    """
    path = Path(model)
    if path.is_dir():
        return path
    if path.exists() or model.count("/") > 1 or model.startswith((".", "~", "/")):
        raise EdgeqError(
            "no such model", file=model, wanted="a checkpoint directory, an .onnx file or a hub id such as org/name"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=HUB_PATTERNS))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EdgeqError(
            f"no such model: not a directory, and not on the hub ({reason})",
            file=model,
            remedy="give the path of a checkpoint directory, or check the hub id and the network",
        ) from error


class Checkpoint:
    """A checkpoint directory.

    Attributes:
        directory: Where it lies.
        files: Tensor name to the safetensors file that holds it.

    Raises:
        EdgeqError: There is no configuration or no safetensors file, or a file is truncated or malformed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files = dict(self._list_tensors())
        self._open: dict[Path, Any] = {}

    @cached_property
    def config(self) -> dict[str, Any]:
        """``config.json`` as written."""
        return _read_json(self.directory / "config.json", remedy="give the directory of a transformers checkpoint")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ``config.json`` and the headers and sizes of the weight files."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for path in sorted(set(self.files.values())):
            digest.update(f"{path.name}:{path.stat().st_size}".encode())
            digest.update(_read_header(path))
        return digest.hexdigest()

    @cached_property
    def content_fingerprint(self) -> str:
        """SHA-256 over ``config.json`` and the contents of the weight files."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for path in sorted(set(self.files.values())):
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def tensor(self, name: str) -> Tensor:
        """One tensor, read from disk now.

        Raises:
            EdgeqError: The checkpoint has no tensor of this name.
        """
        if name not in self.files:
            raise EdgeqError(
                "missing tensor",
                file=self.directory,
                field=name,
                remedy="the checkpoint is incomplete; download it again",
            )
        path = self.files[name]
        if path not in self._open:
            self._open[path] = safe_open(path, framework="pt")
        return self._open[path].get_tensor(name)  # type: ignore[no-any-return]

    def _list_tensors(self) -> Iterator[tuple[str, Path]]:
        for path in self._weight_files():
            _read_header(path)
            try:
                with safe_open(path, framework="pt") as file:
                    yield from ((name, path) for name in file.keys())  # noqa: SIM118 (not a dict)
            except SafetensorError as error:
                raise EdgeqError(
                    f"damaged safetensors file ({error})", file=path, remedy="download it again"
                ) from error

    def _weight_files(self) -> list[Path]:
        if not (self.directory / "config.json").is_file():
            raise EdgeqError(
                "no such model", file=self.directory, found="no config.json", wanted="a transformers checkpoint"
            )
        index = self.directory / INDEX_NAME
        if index.is_file():
            return self._indexed_files(index)
        if (self.directory / SINGLE_NAME).is_file():
            return [self.directory / SINGLE_NAME]
        pickles = (
            sorted(self.directory.glob("*.bin"))
            + sorted(self.directory.glob("*.pt"))
            + sorted(self.directory.glob("*.pth"))
        )
        raise EdgeqError(
            "no safetensors weights" + (" (pickle files can run code when they are read)" if pickles else ""),
            file=self.directory,
            found=pickles[0].name if pickles else "none",
            wanted=SINGLE_NAME,
            remedy="save the model with model.save_pretrained(..., safe_serialization=True)" if pickles else None,
        )

    def _indexed_files(self, index: Path) -> list[Path]:
        places = _read_json(index).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
            raise EdgeqError(
                "damaged index of weight files",
                file=index,
                field="weight_map",
                wanted="a file name for each tensor",
                remedy="download it again",
            )
        names = sorted(set(places.values()))
        for name in names:
            if Path(name).name != name:
                raise EdgeqError(
                    "file outside the checkpoint",
                    file=index,
                    field="weight_map",
                    found=name,
                    wanted="a plain file name",
                )
            if not (self.directory / name).is_file():
                raise EdgeqError(
                    "missing weight file",
                    file=self.directory / name,
                    remedy="the checkpoint is incomplete; download it again",
                )
        return [self.directory / name for name in names]


def _read_json(path: Path, remedy: str | None = None) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeqError(f"cannot read JSON ({error})", file=path, remedy=remedy) from error
    if not isinstance(value, dict):
        raise EdgeqError("wrong JSON", file=path, found=type(value).__name__, wanted="an object")
    return value


def _read_header(path: Path) -> bytes:
    """The JSON header of a safetensors file; checks that the file is as long as the header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0] if size >= 8 else 0
        if size < 8 + length or length > MAX_HEADER:
            raise EdgeqError("truncated safetensors file", file=path, found=f"{size} bytes", remedy="download it again")
        header = file.read(length)
    try:
        end = max(
            (entry["data_offsets"][1] for name, entry in json.loads(header).items() if name != "__metadata__"),
            default=0,
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise EdgeqError("damaged safetensors header", file=path, remedy="download it again") from error
    if size != 8 + length + end:
        raise EdgeqError(
            "truncated safetensors file",
            file=path,
            found=f"{size} bytes",
            wanted=f"{8 + length + end} bytes",
            remedy="download it again",
        )
    return header
