# SPDX-License-Identifier: Apache-2.0
"""The results of benchmarks/w4a8.py as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from edgeq.kv_cache import BITS
from evidence.cells import Cell
from evidence.layer_errors import SCHEMES
from evidence.markdown import signed, table
from evidence.outlier_model import SUFFIX
from evidence.results import Record, Results
from evidence.subjects import DECODERS, ENCODER
from evidence.synthetic import FORMATS, SEARCHED
from evidence.w4a8_grid import CACHE, CACHES, LAYERS, LENGTH, SYNTHETIC

FLOATS = "floats"


def w4a8_sections(results: Results) -> dict[str, str]:
    """Every part of docs/w4a8.md that is made of results, by its name there."""
    records = list(results)
    parts = {f"w4a8 {model}": _decoder_table(records, model) for model in DECODERS}
    return parts | {
        f"w4a8 {ENCODER}": _encoder_table(records),
        "w4a8 with a quantized cache": _cache_table(records),
        "w4a8 with outliers": _outlier_models(records),
        "layers": _layer_table(records),
        "tails": _tail_table(records),
        "outliers": _outlier_table(records),
        "lengths": _length_table(records),
        "encoder lengths": _encoder_length_table(records),
    }


def _label(cell: Cell) -> str:
    options = ", ".join(f"{name.partition('.')[2]} {value}" for name, value in cell.options)
    return f"{cell.method} ({options})" if options else cell.method


def _of(records: Iterable[Record], model: str, measure: str) -> list[Record]:
    return [record for record in records if record.cell.model == model and measure in record.result]


def _decoder_table(records: Sequence[Record], model: str) -> str:
    lines = [
        [
            record.cell.scheme,
            _label(record.cell),
            signed(record.result["loss_difference"]),
            f"{record.result['standard_error']:.4f}",
            f"{record.result['perplexity']:.2f}",
            f"{record.result['kl_divergence']:.4f}",
            _chosen(record),
        ]
        for record in _of(records, model, "loss_difference")
        if CACHE not in dict(record.cell.options)
    ]
    header = ["scheme", "method", "nats/token", "standard error", "perplexity", "KL, nats", "formats chosen"]
    return table(header, lines)


def _cache_table(records: Sequence[Record]) -> str:
    """A row per model and method: the loss with the cache as floats, then what each quantized cache adds."""
    found: dict[tuple[str, str, str], dict[str, Record]] = {}
    for record in records:
        if "loss_difference" in record.result:
            options = dict(record.cell.options)
            cache = options.pop(CACHE, FLOATS)
            plain = replace(record.cell, options=tuple(options.items()))
            found.setdefault((plain.model, plain.scheme, _label(plain)), {})[cache] = record
    lines = [
        [
            *key,
            signed(rows[FLOATS].result["loss_difference"]),
            *(_added(rows, cache) for cache in CACHES),
            _cache_bytes(rows),
        ]
        for key, rows in found.items()
        if FLOATS in rows and len(rows) > 1
    ]
    return table(["model", "scheme", "method", "floats", *CACHES, "bytes per token: floats/kv8/kv4"], lines)


def _added(rows: dict[str, Record], cache: str) -> str:
    if cache not in rows:
        return ""
    return signed(rows[cache].result["loss_difference"] - rows[FLOATS].result["loss_difference"])


def _cache_bytes(rows: dict[str, Record]) -> str:
    """Of the floats and of the bundles' caches, as far as one of them was measured."""
    for cache, bits in BITS.items():
        if cache in rows:
            channels = rows[cache].result["cache_bytes_per_token"] * 8 / bits
            return "/".join(f"{channels * width / 8:.0f}" for width in (32, *BITS.values()))
    return ""


def _outlier_models(records: Sequence[Record]) -> str:
    """Methods by model, each beside the same on the model without outliers."""
    losses = {
        (record.cell.model, record.cell.scheme, _label(record.cell)): record.result["loss_difference"]
        for record in records
        if "loss_difference" in record.result
    }
    lines = []
    for (model, scheme, method), loss in losses.items():
        if model.endswith(SUFFIX):
            plain = losses.get((model.removesuffix(SUFFIX), scheme, method))
            lines.append([model, scheme, method, signed(loss), "" if plain is None else signed(plain)])
    return table(["model", "scheme", "method", "nats/token", "without outliers"], lines)


def _encoder_table(records: Sequence[Record]) -> str:
    lines = [
        [
            record.cell.scheme,
            _label(record.cell),
            f"{record.result['mean_cosine']:.4f}",
            f"{record.result['min_cosine']:.3f}",
            f"{100 * record.result['spearman']:.2f}",
            _chosen(record),
        ]
        for record in _of(records, ENCODER, "mean_cosine")
        if LENGTH not in dict(record.cell.options)
    ]
    return table(["scheme", "method", "mean cosine", "smallest", "Spearman × 100", "formats chosen"], lines)


def _chosen(record: Record) -> str:
    """What a choice between formats came to."""
    if "-auto" not in record.cell.scheme:
        return ""
    return ", ".join(f"{count} {scheme}" for scheme, count in sorted(record.result["formats"].items()))


def _layer_table(records: Sequence[Record]) -> str:
    """Means over the layers of a kind."""
    lines = []
    for record in records:
        if record.cell.method != LAYERS:
            continue
        kinds: dict[str, list[str]] = {}
        for name in record.result["layers"]:
            kinds.setdefault(name.rpartition(".")[2], []).append(name)
        for kind, names in kinds.items():
            values = [record.result["layers"][name] for name in names]
            spread = statistics.fmean(value["range"] for value in values)
            errors = ["/".join(_percent(v[s][i] for v in values) for i in range(3)) for s in SCHEMES]
            lines.append([record.cell.model, kind, f"{spread:.1f}", *errors])
    return table(["model", "layers", "range/σ", *(scheme.removesuffix("-asym") for scheme in SCHEMES)], lines)


def _percent(values: Iterable[float]) -> str:
    return f"{100 * statistics.fmean(values):.1f}"


def _tail_table(records: Sequence[Record]) -> str:
    names = [*FORMATS, *(f"{scheme} searched" for scheme in SEARCHED)]
    lines = [
        [record.cell.model, f"{record.result['range']:.1f}", *(f"{100 * record.result[s][2]:.1f} %" for s in names)]
        for record in records
        if record.cell.method == SYNTHETIC and not record.cell.options
    ]
    return table(["weights", "range/σ", *(name.replace("-asym", "") for name in names)], lines)


def _outlier_table(records: Sequence[Record]) -> str:
    rules = ("none", "smoothquant", "awq", "aqas")
    lines = [
        [
            record.cell.scheme,
            f"{dict(record.cell.options)['factor']:g}",
            *(f"{100 * record.result[rule]:.2f} %" for rule in rules),
        ]
        for record in records
        if record.cell.method == SYNTHETIC and record.cell.options
    ]
    return table(["scheme", "outliers", *rules], lines)


def _length_table(records: Sequence[Record]) -> str:
    """Change of the loss by calibration length (rows) and task length (columns)."""
    lines = []
    for record in records:
        length = dict(record.cell.options).get(LENGTH)
        if length is not None and "tasks" in record.result:
            changes = [f"{task}: {signed(v['loss_difference'])}" for task, v in record.result["tasks"].items()]
            lines.append([record.cell.model, record.cell.method, str(length), ", ".join(changes)])
    return table(["model", "method", "calibrated with", "nats/token by task length"], lines)


def _encoder_length_table(records: Sequence[Record]) -> str:
    """Mean cosines by calibration length (rows) and format."""
    found: dict[int, dict[str, str]] = {}
    for record in _of(records, ENCODER, "mean_cosine"):
        if (length := dict(record.cell.options).get(LENGTH)) is not None:
            found.setdefault(length, {})[record.cell.scheme] = f"{record.result['mean_cosine']:.4f}"
    schemes = sorted({scheme for row in found.values() for scheme in row}, key=len)
    lines = [[str(length), *(row.get(scheme, "") for scheme in schemes)] for length, row in sorted(found.items())]
    return table(["calibrated with", *schemes], lines)
