# SPDX-License-Identifier: Apache-2.0
"""A report as Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from edgeq_devices.conditions import processor_ranges
from edgeq_devices.report.columns import Grid, measurements, powers, qualities
from edgeq_devices.report.documents import Results
from edgeq_devices.tables import aligned_table

_LEFT_OUT = {"samples_ts", "sustained", "energy", "cpu_mask", "flags"}


def markdown(results: Results, title: str) -> str:
    """The tables, and why rows are doubtful."""
    parts = [f"# {title}\n"]
    if results.rows:
        notes = [_inert(f"! {row.where}: {flag}\n") for row in results.rows for flag in row.flags]
        parts += [_table(measurements(results)), *(["".join(notes)] if notes else [])]
    if any(row.energy for row in results.rows):
        parts.append(_table(powers(results)))
    if results.evaluations:
        parts.append(_table(qualities(results)))
    return "\n".join(parts)


def _table(grid: Grid) -> str:
    return aligned_table(grid.headers, [[_inert(cell) for cell in row] for row in grid.rows], grid.texts)


def _inert(text: str) -> str:
    """Without tags and links, which results must not contain."""
    return text.replace("<", "\\<").replace("[", "\\[")


def comma_separated(results: Results) -> str:
    """All rows of all profiles, with the quality of their bundles beside them."""
    rows = []
    for row in results.rows:
        found = results.evaluation_of(row.model_sha256)
        energy = row.energy.model_dump() if row.energy else {}
        rows.append(
            {
                **row.model_dump(exclude=_LEFT_OUT),
                "cpu_mask": processor_ranges(row.cpu_mask),
                "flags": "; ".join(row.flags),
                **{f"energy_{name}": _cell(value) for name, value in energy.items()},
                **(found.quality.model_dump() if found and found.quality else {}),
            }
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def json_text(results: Results) -> str:
    """All rows and evaluations, as far as reports use them."""
    content = {
        "results": [row.model_dump() for row in results.rows],
        "evaluations": [found.model_dump() for found in results.evaluations],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
