# SPDX-License-Identifier: Apache-2.0
"""Writes bundles of every kind: the model, its operators, its documents and what ties them together.

A bundle is a directory that onnxruntime-genai and optimum read as it is::

    model.onnx  model.onnx.data     the graph; its tensors, page-aligned
    genai_config.json  config.json  generation_config.json  tokenizer files  chat template
    edgeq.json                      the manifest (`edgeq.bundle.manifest`)
    lib/<platform>/libedgeq_ops.so  the operators, where the graph has any of edgeq's
    README.md                       the model card
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgeq.bundle.manifest import (
    MANIFEST_NAME,
    AllocationRecord,
    CalibrationRecord,
    FileRecord,
    LayerRecord,
    Manifest,
    OperatorLibrary,
    Source,
    TrainingRecord,
)
from edgeq.bundle.platforms import current_platform, library_location
from edgeq.errors import EdgeqError
from edgeq.version import __version__
from edgeq_export.compression.storing import Storage, compress_graph
from edgeq_export.model_card import CARD_NAME, render_card
from edgeq_export.model_file import MODEL_NAME, write_model
from edgeq_export.output_directory import new_directory

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeq.progress import Progress

DOMAIN = "com.edgeq"
RECORDED_LIBRARIES = ("torch", "transformers", "onnx", "onnx-ir", "onnxscript")


@dataclass
class BundleContents:
    """What goes into a bundle.

    Attributes:
        kind: As in `Manifest`.
        model: The finished graph; the writer strips its metadata and merges equal tensors.
        scheme: Default scheme.
        method: Quantization method and its options.
        calibration: What it was calibrated on.
        training: How it was trained under its quantizers.
        kv_cache: As in `Manifest`.
        compression: How its weights are stored; by default as they are packed.
        source: The original model.
        layers: One record per weight matrix.
        documents: Files with given content, by path inside the bundle.
        copies: Files copied from elsewhere (tokenizer, configuration), by path inside the bundle.
        libraries: The operator library of each platform; by default this platform's, if the graph needs one.
        allocation: How a budget chose the schemes.
    """

    kind: Literal["decoder", "encoder", "graph"]
    model: ir.Model
    scheme: str
    method: str
    source: Source
    layers: list[LayerRecord]
    documents: Mapping[str, bytes] = field(default_factory=dict)
    copies: Mapping[str, Path] = field(default_factory=dict)
    libraries: Mapping[str, Path] | None = None
    calibration: CalibrationRecord | None = None
    allocation: AllocationRecord | None = None
    training: TrainingRecord | None = None
    compression: Storage | None = None
    kv_cache: Literal["kv8", "kv4"] | None = None


def json_document(value: Mapping[str, Any]) -> bytes:
    """JSON as the files of a bundle hold it."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def write_bundle(
    contents: BundleContents, output: Path, *, force: bool = False, progress: Progress | None = None
) -> Manifest:
    """Writes a bundle beside ``output`` and moves it there when it is whole.

    The same contents give the same bytes.

    Args:
        contents: What to write.
        output: The directory to make.
        force: Replace what is there, once the new bundle is whole.
        progress: Told the stages ``compress`` and ``write``.

    Raises:
        EdgeqError: ``output`` is not empty and ``force`` is not set, a source file lies in the directory to replace,
            the operator library is missing, or writing failed (a full disk); nothing is left behind then.
    """
    _check_sources(contents, output)
    libraries = _operator_libraries(contents)
    with new_directory(output, force=force) as directory:
        if contents.compression is not None:
            layers = compress_graph(contents.model, contents.layers, contents.compression, progress)
            contents = replace(contents, layers=layers)
        write_model(contents.model, directory, progress)
        for name, content in contents.documents.items():
            _place(directory, name).write_bytes(content)
        for name, path in {**contents.copies, **libraries}.items():
            shutil.copyfile(path, _place(directory, name))
        return finish_bundle(_describe(contents, libraries, directory), directory)


def finish_bundle(manifest: Manifest, directory: Path) -> Manifest:
    """Writes model card and manifest beside the other files of a bundle; returns the manifest as written.

    Args:
        manifest: All but the record of the card.
        directory: The bundle.
    """
    (directory / CARD_NAME).write_text(render_card(manifest), encoding="utf-8")
    files = manifest.files | {CARD_NAME: record_file(directory / CARD_NAME)}
    manifest = manifest.model_copy(update={"files": files})
    (directory / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def uses_edgeq_operators(model: ir.Model) -> bool:
    """Whether the graph needs the operator library."""
    return any(node.domain == DOMAIN for graph in model.graphs() for node in graph)


def _operator_libraries(contents: BundleContents) -> dict[str, Path]:
    if not uses_edgeq_operators(contents.model):
        return {}
    if contents.libraries is None:
        import edgeq_ops

        return {library_location(current_platform()): edgeq_ops.library_path()}
    return {library_location(platform): path for platform, path in sorted(contents.libraries.items())}


def _check_sources(contents: BundleContents, output: Path) -> None:
    for path in contents.copies.values():
        if path.resolve().is_relative_to(output.resolve()):
            raise EdgeqError(
                "output would replace its own source", file=output, found=path, remedy="choose another directory"
            )


def _place(directory: Path, name: str) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _describe(contents: BundleContents, libraries: Mapping[str, Path], directory: Path) -> Manifest:
    return Manifest(
        edgeq_version=__version__,
        kind=contents.kind,
        scheme=contents.scheme,
        method=contents.method,
        calibration=contents.calibration,
        allocation=contents.allocation,
        training=contents.training,
        kv_cache=contents.kv_cache,
        model=MODEL_NAME,
        source=contents.source,
        operators=OperatorLibrary(libraries={name.split("/")[1]: name for name in libraries}),
        layers=contents.layers,
        files=record_files(directory),
        versions=_versions(),
    )


def record_files(directory: Path) -> dict[str, FileRecord]:
    """Size and hash of every file below a directory, by relative path."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): record_file(path) for path in paths}


def record_file(path: Path) -> FileRecord:
    """Size and hash of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(size=path.stat().st_size, sha256=digest)


def _versions() -> dict[str, str]:
    found = {}
    for name in RECORDED_LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
