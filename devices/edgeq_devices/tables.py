# SPDX-License-Identifier: Apache-2.0
"""A report as Markdown (as llama-bench prints it), CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from edgeq_devices.answers import without_control
from edgeq_devices.conditions import Conditions, processor_ranges
from edgeq_devices.operator_groups import groups
from edgeq_devices.results import Measurement
from edgeq_devices.rows import Report

MIB = 1024**2
_TEXT_COLUMNS = ("model", "scheme")
_NESTED = (
    "samples_ns",
    "samples_ts",
    "conditions",
    "extremes",
    "sustained",
    "operators",
    "energy",
    "cpu_mask",
    "sha256",
)


def aligned_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], text_columns: Sequence[str] = _TEXT_COLUMNS
) -> str:
    """A Markdown table with padded cells; columns are right-aligned unless named in ``text_columns``."""
    headers, *rows = [[without_control(cell).replace("|", "\\|") for cell in row] for row in (headers, *rows)]
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
    """The table, notes on flagged rows, why there is no energy, and a line with the conditions."""
    parts = [table(report) + _notes(report), *_operator_tables(report), conditions_line(report) + "\n"]
    return "\n".join(parts)


def table(report: Report) -> str:
    """One row per measurement."""
    columns = [column for column in COLUMNS if column.applies(report)]
    rows = [[column.cell(report, measured) for column in columns] for measured in report.measurements]
    return aligned_table([column.header(report) for column in columns], rows)


@dataclass(frozen=True)
class Column:
    """One column: its header, its cells, and for which reports it is shown."""

    name: str
    cell: Callable[[Report, Measurement], str]
    applies: Callable[[Report], bool] = lambda report: True
    encoder_name: str | None = None

    def header(self, report: Report) -> str:
        """As the report's kind of model calls it."""
        return self.encoder_name if self.encoder_name and report.model.kind == "encoder" else self.name


def _latency(report: Report, measured: Measurement) -> str:
    """Of a prompt the time to its first token, of generation the time per token, of an encoder that of a sentence."""
    if measured.job.test.encoder:
        return f"{measured.time.mean / 1e6:.2f} ± {measured.time.deviation / 1e6:.2f}"
    percentiles = measured.per_token or measured.first_token
    return " / ".join(f"{value / 1e6:.2f}" for value in astuple(percentiles)) if percentiles else ""


def _joules(report: Report, measured: Measurement) -> str:
    energy = measured.energy
    if energy is None:
        return ""
    generated = energy.token_joules is not None
    gross, net = (
        (energy.token_joules, energy.token_net_joules)
        if generated
        else (energy.prompt_joules, energy.prompt_net_joules)
    )
    return "" if gross is None or net is None else f"{gross:.3g} ({net:.3g})"


def _watts(report: Report, measured: Measurement) -> str:
    return f"{measured.energy.watts:.2f}" if measured.energy else ""


def _has_energy(report: Report) -> bool:
    return any(measured.energy for measured in report.measurements)


COLUMNS = (
    Column("model", lambda report, measured: report.model.name),
    Column("size", lambda report, measured: binary_size(report.model.size)),
    Column("params", lambda report, measured: parameter_count(report.model.parameters)),
    Column("scheme", lambda report, measured: report.model.scheme),
    Column("bpw", lambda report, measured: f"{report.model.bits_per_weight:.3f}"),
    Column("threads", lambda report, measured: str(measured.job.threads)),
    Column(
        "cores",
        lambda report, measured: processor_ranges(measured.job.processors) or "any",
        lambda report: any(measured.job.processors for measured in report.measurements),
    ),
    Column("test", lambda report, measured: measured.job.test.name),
    Column(
        "t/s", lambda report, measured: f"{measured.rate}{' !' if measured.flags else ''}", encoder_name="sentences/s"
    ),
    Column("p50 / p95 / p99 ms", _latency, encoder_name="latency ms"),
    Column("J/token (net)", _joules, _has_energy, encoder_name="J/sentence (net)"),
    Column("W", _watts, _has_energy),
    Column("load s", lambda report, measured: f"{measured.loaded.load_ns / 1e9:.2f}"),
    Column("peak anon", lambda report, measured: binary_size(measured.memory_peak.anonymous)),
    Column("peak file", lambda report, measured: binary_size(measured.memory_peak.file_backed)),
)


def _operator_tables(report: Report) -> Iterator[str]:
    """Of each row whose operators were timed: time by kind of operator and by layer."""
    for measured in report.measurements:
        for group in groups(measured.job.name, measured.operators):
            yield aligned_table(*group)


def _notes(report: Report) -> str:
    notes = [f"! {measured.job.name}: {flag}\n" for measured in report.measurements for flag in measured.flags]
    notes += [f"energy: {reason}\n" for reason in dict.fromkeys(_why_no_energy(report))]
    notes += [f"power of {row.job.name}: {phases}\n" for row in report.measurements if (phases := _phases(row))]
    return "\n" + "".join(notes) if notes else ""


def _why_no_energy(report: Report) -> Iterator[str]:
    for measured in report.measurements:
        if measured.power and measured.power.source is None:
            yield f"none, {measured.power.reason}"
        elif measured.power and measured.power.source:
            source = measured.power.source
            counted = [rail.name for rail in source.rails if rail.counted]
            if not counted:
                yield f"{source.name}: none of the rails {', '.join(rail.name for rail in source.rails)} is a total"
            elif measured.energy:
                rate, idle = measured.energy.samples_per_second, measured.energy.idle_watts
                yield (
                    f"{source.name}, {' + '.join(counted)}, {rate:.0f} samples/s, idle "
                    f"{' and '.join(f'{watts:.2f}' for watts in idle)} W; leaves out {source.leaves_out}; "
                    f"uncertainty: {source.uncertainty}"
                )


def _phases(measured: Measurement) -> str:
    """Watts of each phase, in order."""
    energy = measured.energy
    if energy is None:
        return ""
    first, *last = (f"idle {watts:.2f} W" for watts in energy.idle_watts)
    load = energy.load_watts is not None and energy.load_joules is not None
    phases = [
        first,
        f"load {energy.load_watts:.2f} W ({energy.load_joules:.3g} J)" if load else None,
        f"prompt {energy.prompt_watts:.2f} W" if energy.prompt_watts is not None else None,
        f"generation {energy.token_watts:.2f} W" if energy.token_watts is not None else None,
        *last,
    ]
    return ", ".join(filter(None, phases))


def conditions_line(report: Report) -> str:
    """CPU, kernels, governor, clocks, temperature, throttling, load and versions on one line."""
    state = report.conditions
    if state is None:
        return "nothing was measured"
    sets = sorted({row.loaded.instruction_set for row in report.measurements if row.loaded.instruction_set})
    repetitions = "/".join(sorted({str(measured.job.repetitions) for measured in report.measurements}))
    parts = [
        *([report.device] if report.device != "local" else []),
        f"{state.cpu or 'unknown CPU'}, {state.processors or '?'} processors",
        f"kernels {'/'.join(sets) or 'of ONNX Runtime'}",
        f"{repetitions} repetitions",
        f"governor {state.governor or 'unknown'}",
        f"clock {_clock(state)}",
        f"temperature {_temperature(report)}",
        f"throttling {_throttling(report)}",
        *([f"power mode {state.power_mode}"] if state.power_mode else []),
        *([f"isolated processors {processor_ranges(state.isolated)}"] if state.isolated else []),
        f"load {' '.join(f'{load:.2f}' for load in state.load_average) if state.load_average else 'unknown'}",
        *(f"{name} {version}" for name, version in state.versions.items()),
    ]
    return "; ".join(parts)


def _clock(state: Conditions) -> str:
    clocks = [frequency.current for frequency in state.frequencies if frequency.current]
    return "/".join(f"{clock / 1000:.0f} MHz" for clock in clocks) or "unknown"


def _temperature(report: Report) -> str:
    """At the start, the highest, and at the end, of the hottest zone each."""
    rows = report.measurements
    seen = [row.after.extremes.temperatures for row in rows if row.after.extremes]
    steps = [rows[0].before.state.temperatures, *seen, rows[-1].after.state.temperatures]
    hottest = [max(step.values()) for step in steps if step]
    return f"{hottest[0]:.0f}/{max(hottest):.0f}/{hottest[-1]:.0f} °C" if hottest else "unknown"


def _throttling(report: Report) -> str:
    found = [row.after.throttling.since(row.before.throttling) for row in report.measurements]
    if all(conditions is None for conditions in found):
        return "unknown"
    return ", ".join(sorted({name for conditions in found for name in conditions or []})) or "none"


def comma_separated(report: Report) -> str:
    """CSV with a header row; the samples of the repetitions are left out, as llama-bench does."""
    rows = [_flat(row) for row in report.rows()]
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in row.items() if name not in _NESTED}
    energy = {f"energy_{name}": value for name, value in (row["energy"] or {}).items() if isinstance(value, float)}
    hashes = {f"{name}_sha256": value for name, value in row["sha256"].items()}
    return {**flat, **energy, **hashes, "cpu_mask": processor_ranges(row["cpu_mask"]), "flags": "; ".join(row["flags"])}


def json_text(report: Report) -> str:
    """Model, conditions and results with every sample."""
    return json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {"md": markdown, "csv": comma_separated, "json": json_text}
