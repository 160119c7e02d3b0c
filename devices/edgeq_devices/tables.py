# SPDX-License-Identifier: Apache-2.0
"""A report as Markdown (as llama-bench prints it), CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from edgeq_devices.conditions import Conditions
from edgeq_devices.results import Measurement, Report

MIB = 1024**2
_TEXT_COLUMNS = ("model", "scheme")
_LISTS = ("samples_ns", "samples_ts")


def aligned_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], text_columns: Sequence[str] = _TEXT_COLUMNS
) -> str:
    """A Markdown table with padded cells; columns are right-aligned unless named in ``text_columns``."""
    widths = [max(len(cell) for cell in column) for column in zip(headers, *rows, strict=True)]
    left = [header in text_columns for header in headers]
    rule = ["-" * width if is_left else "-" * (width - 1) + ":" for width, is_left in zip(widths, left, strict=True)]
    lines = [
        " | ".join(
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(row, widths, left, strict=True)
        )
        for row in (headers, rule, *rows)
    ]
    return "".join(f"| {line} |\n" for line in lines)


def binary_size(size: float) -> str:
    """Bytes as llama-bench prints them: ``3.56 GiB``, or ``11.50 MiB`` below one GiB."""
    return f"{size / MIB / 1024:.2f} GiB" if size >= 1024 * MIB else f"{size / MIB:.2f} MiB"


def parameter_count(count: int) -> str:
    """Parameters as llama-bench prints them: ``6.74 B``, or ``6.74 M`` below 10⁹."""
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.2f} M"


def markdown(report: Report) -> str:
    """The table, notes on flagged rows, and a line with the conditions."""
    encoder = report.model.kind == "encoder"
    rate = ["sentences/s", "latency ms"] if encoder else ["t/s"]
    headers = ["model", "size", "params", "scheme", "bpw", "threads", "test", *rate, "load s", "peak anon", "peak file"]
    table = aligned_table(headers, [_cells(report, measured, encoder) for measured in report.measurements])
    return table + _notes(report) + "\n" + conditions_line(report) + "\n"


def _cells(report: Report, measured: Measurement, encoder: bool) -> list[str]:
    model, peak = report.model, measured.memory_peak
    mark = " !" if measured.flags(report.conditions.processors) else ""
    latency = [f"{measured.time.mean / 1e6:.2f} ± {measured.time.deviation / 1e6:.2f}"] if encoder else []
    return [
        model.name,
        binary_size(model.size),
        parameter_count(model.parameters),
        model.scheme,
        f"{model.bits_per_weight:.3f}",
        str(measured.job.threads),
        measured.job.test.name,
        f"{measured.rate}{mark}",
        *latency,
        f"{measured.load_ns / 1e9:.2f}",
        binary_size(peak.anonymous),
        binary_size(peak.file_backed),
    ]


def _notes(report: Report) -> str:
    notes = [
        f"! {measured.job.name}: {flag}\n"
        for measured in report.measurements
        for flag in measured.flags(report.conditions.processors)
    ]
    return "\n" + "".join(notes) if notes else ""


def conditions_line(report: Report) -> str:
    """CPU, kernels, governor, clocks, temperature, throttling, load and versions on one line."""
    state = report.conditions
    sets = sorted({measured.instruction_set for measured in report.measurements if measured.instruction_set})
    repetitions = "/".join(sorted({str(measured.job.repetitions) for measured in report.measurements}))
    parts = [
        f"{state.cpu or 'unknown CPU'}, {state.processors or '?'} processors",
        f"kernels {'/'.join(sets) or 'of ONNX Runtime'}",
        f"{repetitions} repetitions",
        f"governor {state.governor or 'unknown'}",
        f"clock {_clock(state)}",
        f"temperature {f'{max(state.temperatures.values()):.0f} °C' if state.temperatures else 'unknown'}",
        f"throttling {'unknown' if state.throttled is None else 'yes' if state.throttled else 'no'}",
        f"load {' '.join(f'{load:.2f}' for load in state.load_average) if state.load_average else 'unknown'}",
        *(f"{name} {version}" for name, version in state.versions.items()),
    ]
    return "; ".join(parts)


def _clock(state: Conditions) -> str:
    clocks = [frequency.current for frequency in state.frequencies if frequency.current]
    return "/".join(f"{clock / 1000:.0f} MHz" for clock in clocks) or "unknown"


def comma_separated(report: Report) -> str:
    """CSV with a header row; the samples of the repetitions are left out, as llama-bench does."""
    rows = [{name: value for name, value in row.items() if name not in _LISTS} for row in report.rows()]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "flags": "; ".join(row["flags"])} for row in rows)
    return text.getvalue()


def json_text(report: Report) -> str:
    """Model, conditions and results with every sample."""
    return json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {"md": markdown, "csv": comma_separated, "json": json_text}
