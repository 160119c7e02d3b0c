# SPDX-License-Identifier: Apache-2.0
"""The results as Markdown, section by section."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from evidence.cells import OWN
from evidence.comparison import nonuniform_table, other_tools_table
from evidence.markdown import NOTHING, signed, table, with_spread
from evidence.presets_table import preset_table
from evidence.published import lut_gemm_table, magr_table
from evidence.ranks import constructed_table, rank_table
from evidence.results import Record, Results
from evidence.subjects import DECODERS, ENCODER
from evidence.summary import COLUMNS, Row, rows_of
from evidence.targets import target_table

NAMES = {"": "per channel"}


def sections(results: Results) -> dict[str, str]:
    """Every part of docs/accuracy.md that is made of results, by its name there."""
    records = list(results)
    parts = {f"methods {model}": _decoder_section(records, model) for model in DECODERS}
    parts[f"methods {ENCODER}"] = _encoder_section(records)
    rows = [row for row in rows_of(records) if row.cell.model in DECODERS]
    return parts | {
        "presets": preset_table(rows),
        "targets": target_table(rows),
        "nonuniform": nonuniform_table(rows),
        "tools": other_tools_table(rows),
        "magr": magr_table(rows),
        "lut-gemm": lut_gemm_table(rows),
        "ranks": rank_table(records),
        "constructed": constructed_table(records),
    }


def _decoder_section(records: Sequence[Record], model: str) -> str:
    rows = [row for row in rows_of(records) if (row.cell.model, row.cell.tool) == (model, OWN)]
    if not rows:
        return NOTHING
    error = {bits: [r.mean("standard_error") for r in rows if r.weight_bits == bits] for bits in (4, 3, 2)}
    errors = ", ".join(f"{statistics.median(values):.4f} at {bits}" for bits, values in error.items() if values)
    head = (
        f"float32: {rows[0].mean('reference_loss'):.4f} nats/token, perplexity "
        f"{rows[0].mean('reference_perplexity'):.2f}. Standard error of a change over the windows (median): {errors} "
        "bits."
    )
    tables = [_matrix([row for row in rows if row.weight_bits == bits], bits) for bits in (4, 3, 2)]
    return "\n\n".join([head, *tables, _best_table(rows)])


def _matrix(rows: Sequence[Row], bits: int) -> str:
    """Methods by group size, one block of rows per format and kind of activations."""
    lines = []
    for name in sorted({row.variant for row in rows}, key=lambda name: (name != "uniform", name)):
        chosen = [row for row in rows if row.variant == name]
        sizes = {row.group: f"{row.bits:.3f}" for row in chosen}
        lines.append([f"*{name}*: stored bits", *(f"*{sizes[group]}*" if group in sizes else "" for group in COLUMNS)])
        for method in dict.fromkeys(row.method for row in chosen):
            found = {row.group: row for row in chosen if row.method == method}
            lines.append([method, *(_change(found.get(group)) for group in COLUMNS)])
    return table([f"{bits} bits", *(NAMES.get(group, group) for group in COLUMNS)], lines)


def _change(row: Row | None) -> str:
    return "" if row is None else with_spread(signed(row.loss), row.spread("loss_difference"))


def _best_table(rows: Sequence[Row]) -> str:
    """The best methods of each number of bits and group size, with every measure."""
    lines = []
    for bits in (4, 3, 2):
        for group in COLUMNS:
            found = [row for row in rows if row.weight_bits == bits and row.group == group]
            if found:
                lines.append(_full(min(found, key=lambda row: row.loss)))
    return table(["scheme", "method", "bits", "nats/token", "perplexity", "KL, nats", "top-1 agreement"], lines)


def _full(row: Row) -> list[str]:
    return [
        row.cell.scheme,
        row.method,
        f"{row.bits:.3f}",
        _change(row),
        f"{row.mean('perplexity'):.2f}",
        f"{row.mean('kl_divergence'):.4f}",
        f"{100 * row.mean('top1_agreement'):.1f} %",
    ]


def _encoder_section(records: Sequence[Record]) -> str:
    rows = rows_of(records, "mean_cosine")
    lines = [
        [
            row.cell.scheme,
            row.method,
            f"{row.bits:.3f}",
            with_spread(f"{row.mean('mean_cosine'):.4f}", row.spread("mean_cosine")),
            f"{row.mean('min_cosine'):.3f}",
            f"{100 * row.mean('spearman'):.2f}",
        ]
        for row in sorted(rows, key=lambda row: (-row.weight_bits, COLUMNS.index(row.group)))
    ]
    text = table(["scheme", "method", "bits", "mean cosine to float32", "smallest", "STS-B Spearman × 100"], lines)
    return f"float32: Spearman {100 * rows[0].mean('reference_spearman'):.2f}.\n\n{text}" if rows else text
