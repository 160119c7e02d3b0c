# SPDX-License-Identifier: Apache-2.0
"""What ``edgeq export`` says: of a bundle that is written, and of one that would be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from edgeq.cli.allocation_output import cells, columns, summary
from edgeq.cli.console import human_bytes, print_json, stderr, stdout

if TYPE_CHECKING:
    from edgeq.bundle.manifest import Manifest
    from edgeq.estimating import Estimate
    from edgeq.recipe import Recipe


def print_export(manifest: Manifest, output: Path, seconds: float, as_json: bool) -> None:
    """What was written, and how long it took."""
    if manifest.calibration is not None and manifest.calibration.length_reason is not None:
        record = manifest.calibration
        stderr.print(f"calibration length {record.length}: {record.length_reason}", highlight=False, soft_wrap=True)
    if as_json:
        print_json(_summary(manifest, output, seconds))
        return
    if manifest.allocation is not None:
        stdout.print(summary(manifest.allocation), highlight=False, soft_wrap=True)
    stdout.print(
        f"{output}: {manifest.scheme}, {len(manifest.layers)} matrices at {manifest.bits_per_weight:.3f} bits per "
        f"weight, {human_bytes(_size(manifest))}, {seconds:.1f} s",
        highlight=False,
        soft_wrap=True,
    )


def _size(manifest: Manifest) -> int:
    return sum(record.size for record in manifest.files.values())


def _summary(manifest: Manifest, output: Path, seconds: float) -> dict[str, Any]:
    return {
        "output": str(output),
        "kind": manifest.kind,
        "scheme": manifest.scheme,
        "method": manifest.method,
        "calibration": None if manifest.calibration is None else manifest.calibration.model_dump(),
        "allocation": None if manifest.allocation is None else manifest.allocation.model_dump(),
        "matrices": len(manifest.layers),
        "bits_per_weight": manifest.bits_per_weight,
        "bundle_bytes": _size(manifest),
        "seconds": seconds,
    }


def print_estimate(recipe: Recipe, result: Estimate, as_json: bool) -> None:
    """What an export would do and take."""
    if as_json:
        print_json(_describe(recipe, result))
    else:
        _print_plan(result)


def _describe(recipe: Recipe, result: Estimate) -> dict[str, Any]:
    return {
        "recipe": recipe.model_dump(),
        "layers": [layer.model_dump() for layer in result.layers],
        "allocation": None if result.allocation is None else result.allocation.model_dump(),
        "estimate": {
            "data_bytes": result.data_bytes,
            "memory_bytes": result.memory_bytes,
            "seconds": result.seconds,
        },
    }


def _print_plan(result: Estimate) -> None:
    stdout.print(_plan_table(result))
    if result.allocation is not None:
        stdout.print(summary(result.allocation), highlight=False, soft_wrap=True)
    stdout.print(
        f"Estimated: {human_bytes(result.data_bytes)} of weights, {human_bytes(result.memory_bytes)} of memory, "
        f"{result.seconds:.0f} s on two cores.",
        highlight=False,
    )


def _plan_table(result: Estimate) -> Table:
    chosen = {} if result.allocation is None else {layer.name: layer for layer in result.allocation.layers}
    table = Table("layer", "operators", "scheme", "shape", "stored", *columns(result.allocation), box=None)
    for layer in result.layers:
        table.add_row(
            layer.name,
            " ".join(layer.operators),
            layer.scheme,
            f"{layer.rows}×{layer.columns}",
            human_bytes(layer.size),
            *cells(chosen.get(layer.name)),
        )
    return table
