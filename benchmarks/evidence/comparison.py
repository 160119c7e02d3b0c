# SPDX-License-Identifier: Apache-2.0
"""Losses at equal stored bits: non-uniform beside uniform weights, edgeq beside other tools."""

from __future__ import annotations

from collections.abc import Sequence

from evidence.cells import OWN
from evidence.markdown import signed, table
from evidence.summary import Row, best, rows_of

# Why a type can be better at equal bits.
REASONS = {
    "IQ4": ": non-uniform levels, scales of 6 bits",
    "IQ": ": lattice points of 4 or 8 weights at once, edgeq's formats hold one weight per code",
    "Q4_K": ": scales and offsets of 6 bits",
    "Q3_K": ": a scale of 6 bits for 16 weights",
    "Q2_K": ": a scale and an offset of 4 bits for 16 weights",
}

__all__ = ["nonuniform_table", "other_tools_table", "rows_of"]


def nonuniform_table(rows: Sequence[Row]) -> str:
    """Each non-uniform format and group size by its best method, beside the best uniform one that stores no more."""
    own = [row for row in rows if row.cell.tool == OWN]
    lines = []
    for model in dict.fromkeys(row.cell.model for row in own):
        uniform = [row for row in own if row.cell.model == model and row.format == "uniform"]
        others = [row for row in own if row.cell.model == model and row.format in ("bcq", "codebook")]
        for scheme in dict.fromkeys(row.cell.scheme for row in others if row.weight_bits < 4):
            row = min((row for row in others if row.cell.scheme == scheme), key=lambda row: row.loss)
            lines.append([model, *_pair(row, best(uniform, row.bits))])
    return table(
        [
            "model",
            "scheme",
            "method",
            "bits",
            "nats/token (KL)",
            "uniform",
            "method",
            "bits",
            "nats/token (KL)",
            "lower",
        ],
        lines,
    )


def other_tools_table(rows: Sequence[Row]) -> str:
    """Each type of another tool beside edgeq's best that stores no more."""
    lines = []
    for row in sorted(
        (row for row in rows if row.cell.tool != OWN), key=lambda row: (row.cell.model, -row.bits, row.cell.tool)
    ):
        own = [other for other in rows if other.cell.tool == OWN and other.cell.model == row.cell.model]
        lines.append([row.cell.model, row.cell.tool, *_pair(row, best(own, row.bits))])
    return table(
        [
            "model",
            "tool",
            "type",
            "method",
            "bits",
            "nats/token (KL)",
            "edgeq",
            "method",
            "bits",
            "nats/token (KL)",
            "lower",
        ],
        lines,
    )


def _pair(row: Row, other: Row | None) -> list[str]:
    left = [row.cell.scheme, row.method, f"{row.bits:.3f}", _figures(row)]
    if other is None:
        return [*left, "nothing as small", "", "", "", ""]
    names = ("this" if row.loss < other.loss else "uniform") if row.cell.tool == OWN else _winner(row, other)
    return [*left, other.cell.scheme, other.method, f"{other.bits:.3f}", _figures(other), names]


def _figures(row: Row) -> str:
    return f"{signed(row.loss)} ({row.mean('kl_divergence'):.4f})"


def _winner(row: Row, other: Row) -> str:
    if other.loss <= row.loss:
        return OWN
    reason = next((text for name, text in REASONS.items() if row.cell.scheme.startswith(name)), "")
    within = " (within the error)" if row.loss + row.mean("standard_error") > other.loss else ""
    return f"{row.cell.tool}{within}{reason}"
