# SPDX-License-Identifier: Apache-2.0
"""The model card of a bundle."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeq.bundle.manifest import LayerRecord, Manifest

CARD_NAME = "README.md"
TASKS = {"decoder": "text-generation", "encoder": "feature-extraction"}
COMMANDS = {"decoder": 'edgeq run . --prompt "Once upon a time"\nedgeq profile .', "encoder": "edgeq profile ."}


def render_card(manifest: Manifest) -> str:
    """The card as Markdown with a YAML front matter; ``manifest.files`` holds the files written so far."""
    return "\n".join([*_front_matter(manifest), "", *_body(manifest), ""])


def _front_matter(manifest: Manifest) -> list[str]:
    name = manifest.source.name
    lines = ["---", "library_name: edgeq", "tags:", "- onnx", "- edgeq", "- quantized"]
    if manifest.kind in TASKS:
        lines.append(f"pipeline_tag: {TASKS[manifest.kind]}")
    if "/" in name:  # a hub id; the name of a directory says nothing to the hub
        lines += [f"base_model: {name}", "base_model_relation: quantized"]
    return [*lines, "---"]


def _body(manifest: Manifest) -> list[str]:
    source = manifest.source
    size = sum(record.size for record in manifest.files.values())
    operators = (
        f"Needs the operators of `{manifest.operators.domain}` version {manifest.operators.version}, "
        f"included for {', '.join(sorted(manifest.operators.libraries))}."
        if manifest.operators.libraries
        else "Runs on stock ONNX Runtime."
    )
    return [
        f"# {source.name}, {manifest.scheme}",
        "",
        f"`{source.architecture}` with {source.parameters:,} parameters, quantized by {manifest.method} and "
        f"exported to ONNX with edgeq {manifest.edgeq_version}. {operators}",
        "",
        f"Bundle: {size / 1e6:.1f} MB. Weight matrices: {manifest.bits_per_weight:.3f} bits per weight, "
        "scales included.",
        "",
        "| scheme | matrices | weights | MB | operators |",
        "|---|---|---|---|---|",
        *_rows(manifest.layers),
        "",
        "```",
        COMMANDS.get(manifest.kind, "edgeq inspect ."),
        "```",
    ]


def _rows(layers: list[LayerRecord]) -> list[str]:
    by_scheme: dict[str, list[LayerRecord]] = defaultdict(list)
    for layer in layers:
        by_scheme[layer.scheme].append(layer)
    rows = []
    for scheme, members in sorted(by_scheme.items()):
        weights = sum(layer.rows * layer.columns for layer in members)
        megabytes = sum(layer.size for layer in members) / 1e6
        operators = sorted({name for layer in members for name in layer.operators})
        rows.append(f"| {scheme} | {len(members)} | {weights:,} | {megabytes:.2f} | {', '.join(operators)} |")
    return rows
