# SPDX-License-Identifier: Apache-2.0
"""From an ONNX file of any exporter to a bundle."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx_ir as ir

from edgeq.bundle.genai_config import GENAI_CONFIG_NAME
from edgeq.bundle.manifest import LayerRecord, Manifest, Source
from edgeq.errors import EdgeqError
from edgeq.progress import Progress
from edgeq.quantization.plan import Plan
from edgeq_export.bundle_writer import BundleContents, json_document, write_bundle
from edgeq_export.companions import companion_files
from edgeq_export.compression.storing import Storage
from edgeq_export.finishing import finish_graph
from edgeq_export.generation import decoder_document, read_generation, read_object
from edgeq_export.interface import Kind, kind_of
from edgeq_export.output_directory import check_output
from edgeq_export.passes import check
from edgeq_export.portable import check_plan
from edgeq_export.rewrite.load import load_onnx, tensors_of
from edgeq_export.rewrite.planning import GraphPlan, Kept, plan_graph
from edgeq_export.rewrite.quantize import prepare, quantize_model

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Original:
    """An ONNX file, whose graph is changed in place, and what is told of it.

    Attributes:
        directory: Where it lies.
        model: Its graph.
        config: ``config.json`` beside it; empty if there is none.
        kind: As in `Manifest`.
        source: What the manifest says of it.
    """

    directory: Path
    model: ir.Model
    config: dict[str, Any]
    kind: Kind
    source: Source


def export_onnx_file(
    path: str | Path,
    plan: Plan,
    output: str | Path,
    *,
    portable: bool = False,
    compression: Storage | None = None,
    libraries: Mapping[str, Path] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Quantizes the matrices of an ONNX file and writes a bundle.

    The bundle takes along configuration and tokenizer files that lie beside the file. Float constants that stay as they
    are, are logged as warnings with the reason.

    Args:
        path: The ``.onnx`` file; its external data lies in the same directory.
        plan: The scheme of each layer; names come from modules where the file still tells them, else from nodes.
        output: Directory to create.
        portable: Write stock operators, for places where no custom library may load.
        compression: How the weights are stored; by default as they are packed.
        libraries: The operator library of each platform; by default this platform's.
        force: Replace ``output`` if it is not empty.
        progress: Told the stages ``quantize`` and ``write``.

    Raises:
        EdgeqError: The file cannot be read or is not supported (`load_onnx`), there is nothing to quantize, a matrix
            cannot be quantized, a scheme has no stock operator, or the bundle cannot be written.
    """
    path, output = Path(path), Path(output)
    _check_apart(path, output)
    check_output(output, force=force)
    if portable:
        check_plan(plan)
    original = _read(path)
    result = _quantize(original.model, plan, path, progress)
    layers = finish_graph(original.model, result.records, portable=portable)
    contents = replace(_contents(original, plan, layers), libraries=libraries, compression=compression)
    return write_bundle(contents, output, force=force, progress=progress)


def _read(path: Path) -> _Original:
    model, config = load_onnx(path), read_object(path.parent / "config.json")
    kind = kind_of(model, has_config=bool(config))
    return _Original(path.parent, model, config, kind, _describe_source(model, path, config))


def _contents(original: _Original, plan: Plan, layers: list[LayerRecord]) -> BundleContents:
    model, directory = original.model, original.directory
    return BundleContents(
        kind=original.kind,
        model=model,
        scheme=str(plan.default),
        method=plan.describe_method(),
        source=original.source,
        layers=layers,
        documents=_genai_document(model, original.config, directory) if original.kind == "decoder" else {},
        copies=companion_files(directory),
    )


def plan_onnx_file(path: str | Path, plan: Plan) -> GraphPlan:
    """What `export_onnx_file` would make of a file, from names and shapes alone.

    Raises:
        EdgeqError: The file cannot be read or is not supported, or a pattern matches no layer.
    """
    model = load_onnx(Path(path))
    prepare(model)
    return plan_graph(model, plan)


def _quantize(model: ir.Model, plan: Plan, path: Path, progress: Progress | None) -> GraphPlan:
    result = quantize_model(model, plan, progress)
    if not result.quantizes and plan.default.weights is not None:
        found = f"{result.kept[0].name}: {result.kept[0].reason}" if result.kept else "no float matrices"
        raise EdgeqError(
            "nothing to quantize", file=path, found=found, wanted="MatMul, Gemm or Gather on constant matrices"
        )
    _warn_of_kept(result.kept)
    return result


def _warn_of_kept(kept: list[Kept]) -> None:
    by_reason: dict[str, list[str]] = {}
    for constant in kept:
        by_reason.setdefault(constant.reason, []).append(constant.name)
    for reason, names in by_reason.items():
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        logger.warning("kept in float: %s (%s)", shown, reason)


def _check_apart(path: Path, output: Path) -> None:
    inside = path.resolve().is_relative_to(output.resolve())
    check(not inside, "output would replace its own source", file=output, found=path, remedy="choose another directory")


def _describe_source(model: ir.Model, path: Path, config: dict[str, Any]) -> Source:
    """Name and size of the original; the fingerprint covers the ONNX file and the sizes of its external data."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    locations = {str(tensor.location) for tensor in tensors_of(model) if isinstance(tensor, ir.ExternalTensor)}
    for location in sorted(locations):
        digest.update(f"{location}:{(path.parent / location).stat().st_size}".encode())
    floats = (tensor for tensor in tensors_of(model) if tensor.dtype.is_floating_point())
    return Source(
        name=config.get("_name_or_path") or (path.absolute().parent.name if path.stem == "model" else path.stem),
        architecture=(config.get("architectures") or ["ONNX graph"])[0],
        parameters=sum(tensor.size for tensor in floats),
        fingerprint=digest.hexdigest(),
    )


def _genai_document(model: ir.Model, config: dict[str, Any], directory: Path) -> dict[str, bytes]:
    return {GENAI_CONFIG_NAME: json_document(decoder_document(model, config, read_generation(directory)))}
