# SPDX-License-Identifier: Apache-2.0
"""The results as Markdown tables."""

from __future__ import annotations

import json
import math
from typing import Any

from evidence.cells import Cell
from evidence.double.records import Lines
from evidence.markdown import signed, table
from evidence.subjects import ENCODER

CODERS = ("raw", "entropy", "rans", "nibble", "zstd-3", "zstd-19", "lz4", "lz4hc")
SPEEDS = ("zstd-3", "zstd-19", "lz4")
MEGA, GIGA = 1e6, 1e9


def sections(lines: Lines) -> dict[str, str]:
    """Each table by its name in the document."""
    quality = _latest(lines.of("quality"), "cell")
    return {
        "books-6m": _quality(quality, "books-6m", whole=False),
        "books-6m whole": _quality(quality, "books-6m", whole=True),
        ENCODER: _encoder(quality),
        "coders": _coders(quality),
        "distributions": _distributions(_latest(lines.of("codecs"), "distribution", "asked")),
        "speed": _speed(_latest(lines.of("speed"), "model", "bundle", "threads")),
        "plans": _plans(_latest(lines.of("plan"), "bundle", "threads"), lines.of("speed")),
        "limit": _limit(_latest(lines.of("limit"), "bundle", "limit")),
    }


def _latest(lines: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return list({tuple(str(line[key]) for key in keys): line for line in lines}.values())


def _cells(lines: list[dict[str, Any]], model: str) -> list[tuple[Cell, dict[str, Any]]]:
    cells = [(Cell.from_dict(json.loads(line["cell"])), line["result"]) for line in lines]
    return [(cell, result) for cell, result in cells if cell.model == model]


def _is_whole(cell: Cell) -> bool:
    return any(name.endswith("vocabulary_bits") for name, _ in cell.options)


def _describe(cell: Cell) -> list[str]:
    """Scheme, method and its options; those of the solver without its name."""
    solver = cell.method.split("+")[-1]
    options = [f"{name.removeprefix(f'{solver}.')}={value}" for name, value in cell.options]
    return [cell.scheme, " ".join([cell.method, *options])]


def _stored(sizes: dict[str, float]) -> float:
    """Bytes under the coder rans, where it takes the weights."""
    return sizes.get("rans", sizes["raw"])


def _quality(lines: list[dict[str, Any]], model: str, whole: bool) -> str:
    cells = _cells(lines, model)
    baseline = next((result for cell, result in cells if (cell.scheme, cell.method) == ("w8", "rtn")), None)
    rows = []
    for cell, result in cells:
        if whole and not (_is_whole(cell) or cell.method == "rtn"):
            continue
        if not whole and _is_whole(cell):
            continue
        rows.append(_quality_row(cell, result, baseline or result, whole))
    header = ["scheme", "method", "bits raw", "entropy", "rANS", "nibble", "ratio to INT8"]
    return table([*header, "loss", "perplexity to INT8", "KL divergence"], rows)


def _quality_row(cell: Cell, result: dict[str, Any], baseline: dict[str, Any], whole: bool) -> list[str]:
    sizes, reference = (_added(each, whole) for each in (result, baseline))
    weights = sizes["weights"]
    perplexity = math.exp(result["loss_difference"] - baseline["loss_difference"])
    return [
        *_describe(cell),
        *(_bits(sizes, coder, weights) for coder in ("raw", "entropy", "rans", "nibble")),
        f"{reference['raw'] / _stored(sizes):.2f}",
        signed(result["loss_difference"]),
        f"{100 * (perplexity - 1):+.2f} %",
        f"{result['kl_divergence']:.4f}",
    ]


def _added(result: dict[str, Any], whole: bool) -> dict[str, float]:
    linear: dict[str, float] = result["linear"]
    if not whole:
        return linear
    return {name: value + result["vocabulary"].get(name, 0.0) for name, value in linear.items()}


def _bits(sizes: dict[str, float], coder: str, weights: float) -> str:
    return f"{8 * sizes[coder] / weights:.3f}" if coder in sizes else ""


def _encoder(lines: list[dict[str, Any]]) -> str:
    rows = []
    for cell, result in _cells(lines, ENCODER):
        sizes = result["linear"]
        bits = [_bits(sizes, coder, sizes["weights"]) for coder in ("raw", "entropy", "rans", "nibble")]
        rows.append([*_describe(cell), *bits, f"{result['mean_cosine']:.5f}", f"{result['spearman']:.4f}"])
    return table(["scheme", "method", "bits raw", "entropy", "rANS", "nibble", "mean cosine", "Spearman"], rows)


def _coders(lines: list[dict[str, Any]]) -> str:
    rows = []
    for cell, result in _cells(lines, "books-6m"):
        sizes = result["linear"]
        if not _is_whole(cell) and "zstd-3" in sizes and "+" not in cell.method and "entquant" not in cell.method:
            rows.append([*_describe(cell), *(_bits(sizes, coder, sizes["weights"]) for coder in CODERS)])
    return table(["scheme", "method", *CODERS], rows)


def _distributions(lines: list[dict[str, Any]]) -> str:
    rows = [
        [
            line["distribution"],
            f"{line['asked']:g}",
            f"{line['relative_error']:.2e}",
            *(f"{line['bits'][coder]:.3f}" for coder in CODERS),
            *(f"{line['decoded_bytes_per_second'][coder] / GIGA:.2f}" for coder in SPEEDS),
        ]
        for line in lines
    ]
    return table(["weights", "bits asked", "relative error", *CODERS, *(f"{coder} GB/s" for coder in SPEEDS)], rows)


def _speed(lines: list[dict[str, Any]]) -> str:
    first: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines:
        first.setdefault((line["model"], line["threads"]), line)
    rows = [_speed_row(line, first[line["model"], line["threads"]]) for line in lines]
    header = ["bundle", "threads", "forms", "stored", "weights in memory", "process", "load"]
    return table([*header, "prompt tokens/s", "tokens/s", "to the first"], rows)


def _speed_row(line: dict[str, Any], first: dict[str, Any]) -> list[str]:
    less = 1 - line["memory_bytes"] / first["memory_bytes"]
    return [
        line["bundle"],
        str(line["threads"]),
        ", ".join(f"{count} {form}" for form, count in line["forms"].items()),
        _megabytes(line["stored_bytes"]),
        f"{_megabytes(line['memory_bytes'])} (−{100 * less:.0f} %)",
        _megabytes(line["anonymous"] + line["file_backed"]),
        f"{line['load_seconds']:.2f} s",
        f"{line['prompt_tokens_per_second']:.1f}",
        f"{line['tokens_per_second']:.2f}",
        f"{line['tokens_per_second'] / first['tokens_per_second']:.2f}",
    ]


def _plans(lines: list[dict[str, Any]], speeds: list[dict[str, Any]]) -> str:
    """Predicted against measured: both as the time per token beyond that of raw weights."""
    measured = {(line["bundle"], line["threads"]): line for line in speeds}
    raw = {line["threads"]: line for line in reversed(speeds) if set(line["forms"]) == {"raw"}}
    rows = []
    for line in lines:
        found, plain = measured.get((line["bundle"], line["threads"])), raw.get(line["threads"])
        more = (
            ""
            if not (found and plain)
            else _milliseconds(1 / found["tokens_per_second"] - 1 / plain["tokens_per_second"])
        )
        memory = "" if not found else f"{found['memory_bytes'] / MEGA:.0f} MB"
        rows.append(
            [
                line["bundle"],
                str(line["threads"]),
                ", ".join(f"{count} {form}" for form, count in line["forms"].items()),
                f"{line['memory'] / MEGA:.0f} MB",
                memory,
                _milliseconds(line["seconds"] - line["raw_seconds"]),
                more,
                *("" if speed is None else f"{speed / GIGA:.2f}" for speed in line["bytes_per_second"].values()),
            ]
        )
    header = [
        "limit",
        "threads",
        "units",
        "tensors, predicted",
        "weights",
        "ms/token beyond raw, predicted",
        "measured",
    ]
    return table([*header, "raw GB/s", "rANS GB/s", "nibble GB/s"], rows)


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:+.1f}"


def _limit(lines: list[dict[str, Any]]) -> str:
    rows = [
        [line["bundle"], _megabytes(line["limit"]), _megabytes(line["memory_bytes"]), _outcome(line)] for line in lines
    ]
    return table(["bundle", "limit", "weights in memory", "outcome"], rows)


def _outcome(line: dict[str, Any]) -> str:
    if "error" in line:
        return f"fails: {line['error'].rpartition(': ')[2]}"
    return f"runs, {line['tokens_per_second']:.2f} tokens/s"


def _megabytes(size: float) -> str:
    return f"{size / MEGA:.0f} MB"
