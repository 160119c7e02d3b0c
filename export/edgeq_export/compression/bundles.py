# SPDX-License-Identifier: Apache-2.0
"""A bundle as another one, with its weights stored in another form."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from edgeq.bundle.manifest import MANIFEST_NAME, Manifest
from edgeq.bundle.reader import Bundle, open_bundle
from edgeq.errors import EdgeqError
from edgeq.progress import Progress
from edgeq_export.bundle_writer import finish_bundle, record_files
from edgeq_export.compression.storing import Storage, store, update_layers
from edgeq_export.compression.units import Unit, find_units
from edgeq_export.model_card import CARD_NAME
from edgeq_export.model_file import DATA_NAME, write_model
from edgeq_export.output_directory import new_directory


@dataclass(frozen=True)
class OpenGraph:
    """A bundle and its graph; tensors stay on disk until they are needed.

    Attributes:
        bundle: The bundle.
        model: Its graph.
        units: Its packed weights.
    """

    bundle: Bundle
    model: ir.Model
    units: list[Unit]

    @property
    def data_path(self) -> Path:
        """The file of the tensors; the graph itself where it holds them."""
        return self.bundle.file(DATA_NAME) or self.bundle.model_path


def open_graph(path: Path) -> OpenGraph:
    """Opens a bundle, every file checked.

    Raises:
        EdgeqError: As `open_bundle`; the graph cannot be read, or has no packed weights.
    """
    bundle = open_bundle(path, verify=True)
    try:
        model = ir.load(bundle.model_path)
    except (OSError, ValueError, RuntimeError) as error:
        raise EdgeqError(f"cannot read the graph ({error})", file=bundle.model_path) from error
    units = find_units(model)
    if not units:
        raise EdgeqError(
            "nothing to compress",
            file=path,
            found="no packed weights",
            wanted="a bundle with edgeq's operators",
            remedy="export it without --portable",
        )
    return OpenGraph(bundle, model, units)


def write_compressed(
    graph: OpenGraph,
    output: Path,
    storages: Mapping[str, Storage],
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Writes a copy of a bundle in which each unit is stored as chosen.

    It is written beside ``output`` and moved there when it is whole. The graph in memory changes too.

    Args:
        graph: The bundle.
        output: The directory to make.
        storages: By the unit's name; units without one are stored raw.
        force: Replace what is there.
        progress: Told the stages ``compress`` and ``write``.

    Raises:
        EdgeqError: ``output`` is the bundle itself or not empty, a weight is damaged, or writing failed.
    """
    source = graph.bundle.directory
    if output.resolve() == source.resolve() or source.resolve().is_relative_to(output.resolve()):
        raise EdgeqError("output would replace its own source", file=output, remedy="choose another directory")
    with new_directory(output, force=force) as directory:
        records = store(graph.units, storages, progress)
        write_model(graph.model, directory, progress)
        _copy_others(graph.bundle, directory)
        layers = update_layers(graph.bundle.manifest.layers, graph.units, records)
        changes = {"layers": layers, "files": record_files(directory)}
        return finish_bundle(graph.bundle.manifest.model_copy(update=changes), directory)


def _copy_others(bundle: Bundle, directory: Path) -> None:
    """Copies all but the graph, its tensors, the card and the manifest."""
    written = {bundle.manifest.model, DATA_NAME, CARD_NAME, MANIFEST_NAME}
    for name in bundle.manifest.files.keys() - written:
        path = bundle.file(name)
        assert path is not None
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
