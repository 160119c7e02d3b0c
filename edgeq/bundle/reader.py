# SPDX-License-Identifier: Apache-2.0
"""Opening a bundle: nothing of it is used before it is checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeq.bundle.elf import check_machine
from edgeq.bundle.genai_config import GENAI_CONFIG_NAME, GenaiConfig, read_genai_config
from edgeq.bundle.integrity import REMEDY, check_files, confined_path
from edgeq.bundle.manifest import MANIFEST_NAME, Manifest, read_manifest
from edgeq.errors import EdgeqError


@dataclass(frozen=True)
class Bundle:
    """An exported model on disk.

    Attributes:
        directory: Where it lies.
        manifest: ``edgeq.json``.
        genai: ``genai_config.json``; ``None`` unless it is a decoder.
    """

    directory: Path
    manifest: Manifest
    genai: GenaiConfig | None

    @property
    def kind(self) -> str:
        """``decoder``, ``encoder`` or ``graph``."""
        return self.manifest.kind

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return confined_path(self.directory, self.manifest.model, f"{MANIFEST_NAME}: model")

    @property
    def needs_operators(self) -> bool:
        """Whether the graph uses edgeq's operators."""
        return bool(self.manifest.operators.libraries)

    @property
    def size(self) -> int:
        """Bytes of all recorded files."""
        return sum(record.size for record in self.manifest.files.values())

    def file(self, name: str) -> Path | None:
        """The path of a recorded file, ``None`` if the bundle has none of this name."""
        return confined_path(self.directory, name, name) if name in self.manifest.files else None


def open_bundle(path: str | Path, verify: bool = True) -> Bundle:
    """Opens a bundle.

    Args:
        path: Its directory.
        verify: Compare the SHA-256 of every recorded file; presence, sizes and paths are checked in any case.

    Raises:
        EdgeqError: It is not a bundle, a file is missing, truncated, changed or outside it, a field of ``edgeq.json``
            or ``genai_config.json`` is wrong, or an operator library is for another architecture than its folder says.
    """
    directory = Path(path)
    if not directory.is_dir():
        raise EdgeqError("no such bundle", file=directory, remedy="make one with: edgeq export MODEL -o OUT")
    manifest = read_manifest(directory)
    # The configuration comes before the hashes: a wrong field is better named than reported as a changed file.
    confined_path(directory, GENAI_CONFIG_NAME, GENAI_CONFIG_NAME)
    genai = read_genai_config(directory) if manifest.kind == "decoder" else None
    bundle = Bundle(directory, manifest, genai)
    _check_names(bundle)
    check_files(directory, manifest, hashes=verify)
    for platform, library in manifest.operators.libraries.items():
        check_machine(confined_path(directory, library, f"{MANIFEST_NAME}: operators.libraries.{platform}"), platform)
    return bundle


def _check_names(bundle: Bundle) -> None:
    manifest, manifest_path = bundle.manifest, bundle.directory / MANIFEST_NAME
    needed = {
        "model": manifest.model,
        **{f"operators.libraries.{k}": v for k, v in manifest.operators.libraries.items()},
    }
    if bundle.genai is not None:
        needed["files"] = GENAI_CONFIG_NAME
    for field, name in needed.items():
        confined_path(bundle.directory, name, f"{MANIFEST_NAME}: {field}")
        if name not in manifest.files:
            raise EdgeqError(
                "file without a record",
                file=manifest_path,
                field=field,
                found=name,
                wanted="an entry in files",
                remedy=REMEDY,
            )
    if bundle.genai is not None and bundle.genai.model.decoder.filename != manifest.model:
        raise EdgeqError(
            "another model file than in edgeq.json",
            file=bundle.directory / GENAI_CONFIG_NAME,
            field="model.decoder.filename",
            found=bundle.genai.model.decoder.filename,
            wanted=manifest.model,
            remedy=REMEDY,
        )
