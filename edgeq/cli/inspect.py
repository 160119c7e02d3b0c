# SPDX-License-Identifier: Apache-2.0
"""``edgeq inspect``: what a bundle holds."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from edgeq.cli.allocation_output import summary as allocation_summary
from edgeq.cli.console import human_bytes, print_json

if TYPE_CHECKING:
    from edgeq.bundle.manifest import CorrectionRecord, LayerRecord, Manifest
    from edgeq.bundle.reader import Bundle

_GRAPH_REMEDY = "not counted: needs the onnx-ir package, pip install 'edgeq[export]'"
_TEXT_COLUMNS = ("scheme", "corrections", "compression", "layer", "operators", "operator", "file", "sha256")


def command(
    bundle: Annotated[Path, Argument(help="Bundle directory.", show_default=False)],
    layers: Annotated[bool, Option("--layers", help="List every weight matrix.")] = False,
    verify: Annotated[bool, Option("--verify", help="Compare the hash of every file.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show the layers, formats, sizes, operators and origin of a bundle."""
    from edgeq.bundle.reader import open_bundle

    opened = open_bundle(bundle, verify=verify)
    description = describe(opened, verified=verify)
    if as_json:
        print_json(description)
    else:
        _print_summary(opened.manifest, description)
        _print_tables(opened.manifest, description, layers)


def describe(bundle: Bundle, *, verified: bool) -> dict[str, Any]:
    """The manifest and what follows from it: bits per weight, sizes, operator counts."""
    manifest = bundle.manifest
    return {
        "path": str(bundle.directory),
        **manifest.model_dump(),
        "bits_per_weight": manifest.bits_per_weight,
        "size": bundle.size,
        "verified": verified,
        "schemes": {scheme: _totals(records) for scheme, records in _by_scheme(manifest).items()},
        "graph_operators": count_operators(bundle.model_path),
    }


def count_operators(model: Path) -> dict[str, int] | None:
    """Nodes of the graph by operator type, with the domain where it is not ONNX's; ``None`` without onnx-ir."""
    if find_spec("onnx_ir") is None:
        return None
    import onnx_ir

    nodes = onnx_ir.load(model).graph.all_nodes()
    counts = Counter(f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in nodes)
    return dict(counts.most_common())


def _by_scheme(manifest: Manifest) -> dict[str, list[LayerRecord]]:
    grouped: dict[str, list[LayerRecord]] = {}
    for layer in manifest.layers:
        grouped.setdefault(layer.scheme, []).append(layer)
    return grouped


def _totals(layers: list[LayerRecord]) -> dict[str, float]:
    weights, size = sum(layer.rows * layer.columns for layer in layers), sum(layer.size for layer in layers)
    return {"matrices": len(layers), "weights": weights, "size": size, "bits_per_weight": 8 * size / weights}


def _print_summary(manifest: Manifest, description: dict[str, Any]) -> None:
    source = manifest.source
    checked = "sizes and hashes of all files are as recorded" if description["verified"] else "sizes as recorded"
    lines = {
        "bundle": f"{description['path']} ({manifest.kind})",
        "source": f"{source.name}, {source.architecture}, {source.parameters:,} parameters",
        "fingerprint": source.fingerprint,
        "scheme": f"{manifest.scheme}, {manifest.method}",
        "stored": f"{manifest.bits_per_weight:.3f} bits per weight; bundle {human_bytes(description['size'])}",
        **_compression_lines(manifest),
        **({"kv cache": f"{manifest.kv_cache}, static scales per channel"} if manifest.kv_cache else {}),
        "operators": _library_line(manifest),
        "exported by": ", ".join(f"{name} {version}" for name, version in _exporters(manifest).items()),
        "integrity": checked if description["verified"] else f"{checked}; --verify compares the hashes",
    }
    if manifest.allocation is not None:
        lines["allocation"] = allocation_summary(manifest.allocation)
    width = max(map(len, lines))
    for name, text in lines.items():
        print(f"{name:<{width}}  {text}")


def _compression_lines(manifest: Manifest) -> dict[str, str]:
    """How much smaller compression makes the weights, where it does."""
    compressed = [layer for layer in manifest.layers if layer.compression]
    if not compressed:
        return {}
    stored, raw = (sum(getattr(layer, size) for layer in manifest.layers) for size in ("size", "raw_size"))
    modes = Counter(f"{layer.compression.codec} {layer.compression.mode}" for layer in compressed if layer.compression)
    how = ", ".join(f"{count} {mode}" for mode, count in modes.items())
    text = f"{human_bytes(raw)} to {human_bytes(stored)}, {raw / stored:.2f} times smaller"
    return {"compression": f"{text}; {how} of {len(manifest.layers)} matrices"}


def _exporters(manifest: Manifest) -> dict[str, str]:
    return {"edgeq": manifest.edgeq_version, **manifest.versions}


def _library_line(manifest: Manifest) -> str:
    operators = manifest.operators
    if not operators.libraries:
        return "ONNX Runtime's own"
    return f"{operators.domain} version {operators.version}, for {', '.join(operators.libraries)}"


def _print_tables(manifest: Manifest, description: dict[str, Any], layers: bool) -> None:
    from edgeq_devices.tables import aligned_table

    tables = [_scheme_table(description)]
    if layers:
        tables.append(_layer_table(manifest))
    tables += [_operator_table(description["graph_operators"]), _file_table(manifest)]
    for headers, rows in (table for table in tables if table[1]):
        print()
        print(aligned_table(headers, rows, text_columns=_TEXT_COLUMNS), end="")
    if description["graph_operators"] is None:
        print(f"\nOperators of the graph {_GRAPH_REMEDY}")


Table = tuple[list[str], list[list[str]]]


def _scheme_table(description: dict[str, Any]) -> Table:
    headers = ["scheme", "matrices", "weights", "stored", "bits per weight"]
    return headers, [
        [
            scheme,
            str(entry["matrices"]),
            f"{entry['weights']:,}",
            human_bytes(entry["size"]),
            f"{entry['bits_per_weight']:.3f}",
        ]
        for scheme, entry in description["schemes"].items()
    ]


def _layer_table(manifest: Manifest) -> Table:
    """A row per layer; columns that say nothing of any layer are left out."""
    headers = ["layer", "operators", "scheme", "corrections", "compression", "ratio", "entropy"]
    headers += ["shape", "stored", "bits per weight"]
    rows = [
        [
            layer.name,
            " ".join(layer.operators),
            layer.scheme,
            ", ".join(map(_describe_correction, layer.corrections)),
            *_describe_compression(layer),
            f"{layer.rows}×{layer.columns}",
            human_bytes(layer.size),
            f"{8 * layer.size / (layer.rows * layer.columns):.3f}",
        ]
        for layer in manifest.layers
    ]
    kept = [index for index in range(len(headers)) if any(row[index] for row in rows)]
    return [headers[index] for index in kept], [[row[index] for index in kept] for row in rows]


def _describe_compression(layer: LayerRecord) -> list[str]:
    """Codec and mode, how many times smaller than the packed matrix, and bits per code that no order-0 coder beats."""
    record = layer.compression
    if record is None:
        return ["", "", ""]
    ratio = record.raw_size / (record.raw_size - (layer.raw_size - layer.size))
    return [f"{record.codec} {record.mode}", f"{ratio:.3f}", f"{record.entropy:.3f}"]


def _describe_correction(correction: CorrectionRecord) -> str:
    return f"rank {correction.rank}" if correction.kind == "low_rank" else f"{correction.entries:,} sparse"


def _operator_table(counts: dict[str, int] | None) -> Table:
    return ["operator", "nodes"], [[name, str(count)] for name, count in (counts or {}).items()]


def _file_table(manifest: Manifest) -> Table:
    return ["file", "size", "sha256"], [
        [name, human_bytes(record.size), record.sha256[:12]] for name, record in sorted(manifest.files.items())
    ]
