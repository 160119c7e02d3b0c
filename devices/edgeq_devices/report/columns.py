# SPDX-License-Identifier: Apache-2.0
"""The tables of a report: what each column is called and shows. A column in which every cell is empty is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Generic, TypeVar

from edgeq_devices.conditions import processor_ranges
from edgeq_devices.report.documents import EnergyView, Evaluation, Results, Row
from edgeq_devices.tables import binary_size, parameter_count

Item = TypeVar("Item")


@dataclass(frozen=True)
class Column(Generic[Item]):
    """One column; ``text`` is left-aligned."""

    header: str
    cell: Callable[[Item], str]
    text: bool = False


@dataclass(frozen=True)
class Grid:
    """A table as texts.

    Attributes:
        headers: Names of the columns.
        texts: Those of them that are left-aligned.
        rows: Cells.
        flagged: Which rows are doubtful.
    """

    headers: tuple[str, ...]
    texts: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    flagged: tuple[bool, ...]


def measurements(results: Results) -> Grid:
    """The rows of all profiles."""
    return _grid(_MEASUREMENTS, results.rows, [bool(row.flags) for row in results.rows])


def powers(results: Results) -> Grid:
    """Power by phase of the rows that have energy."""
    rows = [row for row in results.rows if row.energy]
    return _grid(_POWER, rows, [bool(row.flags) for row in rows])


def qualities(results: Results) -> Grid:
    """All evaluations."""
    return _grid(_QUALITIES, results.evaluations, [False] * len(results.evaluations))


def _grid(columns: Sequence[Column[Item]], items: Sequence[Item], flagged: Sequence[bool]) -> Grid:
    cells = {column: [column.cell(item) for item in items] for column in columns}
    shown = [column for column in columns if any(cells[column])]
    return Grid(
        tuple(column.header for column in shown),
        tuple(column.header for column in shown if column.text),
        tuple(zip(*(cells[column] for column in shown), strict=True)),
        tuple(flagged),
    )


def _rate(row: Row) -> str:
    unit = "" if row.unit == "tokens/s" else " sentences/s"
    return f"{row.avg_ts:.2f} ± {row.stddev_ts:.2f}{unit}{' !' if row.flags else ''}"


def _latency(row: Row) -> str:
    """Of generation the time per token, of a prompt the time to its first, of an encoder the time per sentence."""
    for name in ("tpot", "ttft"):
        values = [getattr(row, f"{name}_p{share}_ns") for share in (50, 95, 99)]
        if None not in values:
            return " / ".join(f"{value / 1e6:.2f}" for value in values)
    if row.unit != "tokens/s" and row.avg_ns is not None and row.stddev_ns is not None:
        return f"{row.avg_ns / 1e6:.2f} ± {row.stddev_ns / 1e6:.2f}"
    return ""


def _joules(row: Row) -> str:
    found = row.energy
    if found is None:
        return ""
    tokens = (found.token_joules, found.token_net_joules)
    gross, net = tokens if found.token_joules is not None else (found.prompt_joules, found.prompt_net_joules)
    return "" if gross is None or net is None else f"{gross:.3g} ({net:.3g})"


_MEASUREMENTS: tuple[Column[Row], ...] = (
    Column("model", lambda row: row.model_filename, text=True),
    Column("size", lambda row: binary_size(row.model_size)),
    Column("params", lambda row: parameter_count(row.model_n_params)),
    Column("scheme", lambda row: row.model_type.rpartition(" ")[2], text=True),
    Column("bpw", lambda row: f"{row.bits_per_weight:.3f}"),
    Column("device", lambda row: row.device, text=True),
    Column("threads", lambda row: str(row.n_threads)),
    Column("cores", lambda row: processor_ranges(row.cpu_mask)),
    Column("test", lambda row: row.test, text=True),
    Column("t/s", _rate),
    Column("p50 / p95 / p99 ms", _latency),
    Column("J/token (net)", _joules),
    Column("W", lambda row: f"{row.energy.watts:.2f}" if row.energy else ""),
    Column("load s", lambda row: f"{row.load_ns / 1e9:.2f}"),
    Column("peak anon", lambda row: binary_size(row.peak_anonymous)),
    Column("peak file", lambda row: binary_size(row.peak_file_backed)),
)


def _phase(measure: Callable[[EnergyView], float | None]) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        found = measure(row.energy) if row.energy else None
        return "" if found is None else f"{found:.3g}"

    return cell


_POWER: tuple[Column[Row], ...] = (
    Column("model", lambda row: row.model_filename, text=True),
    Column("device", lambda row: row.device, text=True),
    Column("threads", lambda row: str(row.n_threads)),
    Column("cores", lambda row: processor_ranges(row.cpu_mask)),
    Column("test", lambda row: row.test, text=True),
    Column("idle before W", _phase(lambda energy: energy.idle_watts[0] if energy.idle_watts else None)),
    Column("load W", _phase(lambda energy: energy.load_watts)),
    Column("load J", _phase(lambda energy: energy.load_joules)),
    Column("prompt W", _phase(lambda energy: energy.prompt_watts)),
    Column("generation W", _phase(lambda energy: energy.token_watts)),
    Column("idle after W", _phase(lambda energy: energy.idle_watts[-1] if energy.idle_watts else None)),
    Column("meter", lambda row: row.energy.source if row.energy else "", text=True),
    Column("leaves out", lambda row: row.energy.leaves_out if row.energy else "", text=True),
)

_QUALITIES: tuple[Column[Evaluation], ...] = (
    Column("bundle", lambda found: PurePath(found.bundle).name, text=True),
    Column("scheme", lambda found: found.scheme, text=True),
    Column("on", lambda found: PurePath(found.text or found.pairs_file or "").name, text=True),
    Column("nats/token", lambda found: f"{found.quality.loss:.4f}" if found.quality else ""),
    Column("perplexity", lambda found: f"{found.quality.perplexity:#.4g}" if found.quality else ""),
    Column("bits/byte", lambda found: f"{found.quality.bits_per_byte:.4f}" if found.quality else ""),
    Column("difference", lambda found: f"{found.comparison.loss_difference:+.4f}" if found.comparison else ""),
    Column("KL", lambda found: f"{found.comparison.kl_divergence:.4f}" if found.comparison else ""),
    Column("top-1", lambda found: f"{found.comparison.top1_agreement:.1%}" if found.comparison else ""),
    Column("Spearman", lambda found: f"{100 * found.similarity.spearman:.2f}" if found.similarity else ""),
)
