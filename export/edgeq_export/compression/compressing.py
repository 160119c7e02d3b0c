# SPDX-License-Identifier: Apache-2.0
"""What ``edgeq compress`` does: a form for every unit, by rule or by measurement, and the bundle that holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeq.bundle.manifest import Manifest
from edgeq.errors import EdgeqError
from edgeq.formats.compression import CODECS
from edgeq.progress import Progress
from edgeq_export.compression.bundles import OpenGraph, open_graph, write_compressed
from edgeq_export.compression.choosing import Choice, choose
from edgeq_export.compression.storing import Mode, Storage, store_alike
from edgeq_export.compression.units import Unit, find_units
from edgeq_export.output_directory import check_output

DEFAULT_SLOWDOWN = 1.1
MODES = ("raw", "load", "use", "auto")


@dataclass(frozen=True)
class Request:
    """How weights are to be stored.

    Attributes:
        mode: ``raw``, ``load`` or ``use`` for all layers, or ``auto``: by measurement.
        codec: ``rans`` or ``nibble``; by default ``rans``, with ``auto`` the better one for each layer.
        max_memory: Bytes that all tensors may take in memory; with ``auto``.
        max_slowdown: Time of a token's matrix products over that with raw weights; with ``auto``, where 1.1 is the
            default if there is no ``max_memory``.
        threads: Threads while products are measured.
    """

    mode: Mode | Literal["auto"] = "load"
    codec: str | None = None
    max_memory: int | None = None
    max_slowdown: float | None = None
    threads: int | None = None

    @property
    def codecs(self) -> list[str]:
        """Codecs that may be used; one where ``mode`` is neither ``auto`` nor ``raw``."""
        if self.codec is not None:
            return [self.codec]
        return ["rans"] if self.mode in ("load", "use") else list(CODECS)

    def check(self) -> None:
        """Checks that the parts fit together.

        Raises:
            EdgeqError: A mode or codec is unknown, or limits are given for a mode that keeps none.
        """
        if self.mode not in MODES:
            raise EdgeqError("unknown mode", field="--mode", found=self.mode, wanted=" or ".join(MODES))
        if self.codec is not None and self.codec not in CODECS:
            raise EdgeqError("unknown codec", field="--codec", found=self.codec, wanted=" or ".join(CODECS))
        if self.mode != "auto" and (self.max_memory is not None or self.max_slowdown is not None):
            raise EdgeqError("limits are kept by --mode auto only", field="--mode", found=self.mode, wanted="auto")


@dataclass(frozen=True)
class Outcome:
    """What became of a bundle.

    Attributes:
        manifest: Of the new bundle; that of the old one in a dry run.
        raw: Names of the weights that none of the codecs asked for takes.
        not_smaller: Names of those that stayed raw because they would take as many bytes compressed, or more.
        choice: What was measured and chosen, with ``auto``.
    """

    manifest: Manifest
    raw: list[str]
    not_smaller: list[str]
    choice: Choice | None = None


def compress_bundle(
    source: Path,
    output: Path | None,
    request: Request,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Writes a bundle with its weights stored as requested.

    Args:
        source: A bundle; its weights may be compressed already.
        output: The directory to make; ``None`` only chooses.
        request: How weights are to be stored.
        force: Replace what is at ``output``.
        progress: Told the stages ``compress`` and ``write``.

    Raises:
        EdgeqError: Anything a user can mend.
    """
    request.check()
    if output is not None:
        check_output(output, force=force)
    graph = open_graph(source)
    choice, storages = None, {}
    if request.mode == "auto":
        choice = _measure(graph, request)
        storages = choice.storages
    elif request.mode != "raw":
        storages = store_alike(graph.units, Storage(request.mode, *request.codecs))
    manifest, not_smaller = graph.bundle.manifest, []
    if output is not None:
        manifest = write_compressed(graph, output, storages, force=force, progress=progress)
        not_smaller = _not_smaller(graph, storages)
    return Outcome(manifest, _untaken(graph.units, request.codecs), not_smaller, choice)


def _measure(graph: OpenGraph, request: Request) -> Choice:
    """A form for every unit by measurement."""
    limited = request.max_slowdown or request.max_memory
    return choose(
        graph,
        request.codecs,
        max_memory=request.max_memory,
        max_slowdown=request.max_slowdown if limited else DEFAULT_SLOWDOWN,
        threads=request.threads,
    )


def _not_smaller(graph: OpenGraph, storages: Mapping[str, Storage]) -> list[str]:
    """Weights that are raw in the graph as it was written, and were not meant to be."""
    written = find_units(graph.model)
    meant = {name for name, storage in storages.items() if storage.mode != "raw"}
    return [w.name for unit in written if unit.name in meant for w in unit.weights if not w.mode]


def _untaken(units: Sequence[Unit], codecs: Sequence[str]) -> list[str]:
    """Weights that can only be stored raw."""
    return [w.name for unit in units if not any(unit.takes(codec) for codec in codecs) for w in unit.weights]
