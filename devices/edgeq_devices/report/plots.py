# SPDX-License-Identifier: Apache-2.0
"""The plots of a report. A flagged row is drawn hollow; it is in no line and no mean."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from edgeq_devices.report.documents import Evaluation, Results, Row, SustainedView

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MIB = 1024**2
SIDES = ("top center", "bottom center")  # of marks, for their labels in turn
LAYOUT = {
    "template": "plotly_white",
    "height": 420,
    "showlegend": True,
    "margin": {"l": 70, "r": 20, "t": 60, "b": 50},
    "legend": {"orientation": "h", "yanchor": "top", "y": -0.15},
}


@dataclass(frozen=True)
class Point:
    """One mark: where, what it says, whether it is to be trusted."""

    x: float
    y: float
    text: str
    flagged: bool


def figures(results: Results) -> Iterator[Figure]:
    """Those plots that the results allow."""
    quality = "perplexity"
    candidates = (
        ("Quality against size", "size (MiB)", quality, _by_bundle(results)),
        ("Quality against generation speed", "tokens/s", quality, _by_device(results, lambda row: row.avg_ts)),
        ("Quality against energy", "J per generated token", quality, _by_device(results, _token_joules)),
        ("Generation speed against size", "size (MiB)", "tokens/s", _speed_by_size(results)),
    )
    for title, x, y, groups in candidates:
        if groups:
            yield _scatter(title, x, y, groups)
    kinds: dict[str, Callable[[Row], bool]] = {
        "Prompt throughput": lambda row: row.n_gen == 0,
        "Generation throughput": lambda row: row.n_gen > 0,
    }
    for title, belongs in kinds.items():
        if trusted := [row for row in results.rows if belongs(row) and not row.flags]:
            yield _throughput(title, trusted)
    for row in results.rows:
        if row.sustained:
            yield _sustained(row, row.sustained)


def _token_joules(row: Row) -> float | None:
    return row.energy.token_joules if row.energy else None


def _perplexity(evaluation: Evaluation | None) -> float | None:
    return evaluation.quality.perplexity if evaluation and evaluation.quality else None


def _generation(results: Results) -> Iterator[Row]:
    """Rows that generate tokens from an empty context."""
    return (row for row in results.rows if row.n_gen and not row.n_prompt and not row.n_depth)


def _by_bundle(results: Results) -> dict[str, list[Point]]:
    groups: dict[str, list[Point]] = {}
    sizes = {row.model_sha256: row for row in results.rows}
    for evaluation in results.evaluations:
        row, perplexity = sizes.get(evaluation.model_sha256), _perplexity(evaluation)
        if row and perplexity is not None:
            point = Point(row.model_size / MIB, perplexity, row.model_filename, False)
            groups.setdefault(PurePath(evaluation.text or "").name, []).append(point)
    return groups


def _by_device(results: Results, measure: Callable[[Row], float | None]) -> dict[str, list[Point]]:
    groups: dict[str, list[Point]] = {}
    for row in _generation(results):
        perplexity, x = _perplexity(results.evaluation_of(row.model_sha256)), measure(row)
        if perplexity is not None and x is not None:
            groups.setdefault(row.machine, []).append(Point(x, perplexity, row.model_filename, bool(row.flags)))
    return groups


def _speed_by_size(results: Results) -> dict[str, list[Point]]:
    groups: dict[str, list[Point]] = {}
    for row in _generation(results):
        point = Point(row.model_size / MIB, row.avg_ts, row.model_filename, bool(row.flags))
        groups.setdefault(row.machine, []).append(point)
    return groups


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without the words that all of them begin with, as marks that lie close together leave little room."""
    words = {name: re.split(r"(?<=[-_ .])", name) for name in names}
    shared = list(itertools.takewhile(lambda column: len(set(column)) == 1, zip(*words.values(), strict=False)))
    return {name: "".join(parts[len(shared) :]) or name for name, parts in words.items()}


def plain(text: str) -> str:
    """A text as plotly shows it: its labels understand a few HTML tags, which results must not contain."""
    return text.replace("<", "‹").replace(">", "›")


def _scatter(title: str, x: str, y: str, groups: dict[str, list[Point]]) -> Figure:
    from plotly import graph_objects

    figure = graph_objects.Figure(layout={"title": {"text": title}, **LAYOUT})
    labels = short_names([point.text for points in groups.values() for point in points])
    for name, points in groups.items():
        ordered = sorted(points, key=lambda point: point.x)
        figure.add_scatter(
            x=[point.x for point in ordered],
            y=[point.y for point in ordered],
            text=[plain(labels[point.text]) for point in ordered],
            hovertext=[plain(point.text) for point in ordered],
            mode="markers+text",
            textposition=[SIDES[number % len(SIDES)] for number in range(len(ordered))],
            cliponaxis=False,
            marker={"symbol": ["circle-open" if point.flagged else "circle" for point in ordered], "size": 10},
            name=plain(name),
        )
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
    return figure


def _sustained(row: Row, run: SustainedView) -> Figure:
    """Rate over time, with the machine's temperature, clock and power where they are known, each scaled to its mean."""
    from plotly import graph_objects

    title = f"{row.model_filename}, {row.test}, {row.machine}: sustained"
    figure = graph_objects.Figure(layout={"title": {"text": plain(title)}, **LAYOUT})
    curves: dict[str, tuple[list[float], Sequence[float | None]]] = {
        row.unit: (run.seconds, run.ts),
        "temperature (°C)": (run.machine_seconds, run.temperature),
        "clock (kHz)": (run.machine_seconds, run.clock),
        "power (W)": (run.machine_seconds, run.watts),
    }
    for name, (seconds, values) in curves.items():
        known = [value for value in values if value is not None]
        mean = statistics.fmean(known) if known else 0.0
        if mean:
            relative = [None if value is None else value / mean for value in values]
            digits = ".4g" if mean < 1000 else ".0f"
            named = plain(f"{name}, mean {mean:{digits}}")
            figure.add_scatter(x=seconds, y=relative, text=values, mode="lines", name=named)
    figure.update_xaxes(title_text="seconds", rangemode="tozero")
    figure.update_yaxes(title_text="relative to its mean")
    return figure


def _throughput(title: str, rows: Sequence[Row]) -> Figure:
    """Bars of tests, by bundle."""
    from plotly import graph_objects

    beside = {"legend": {"orientation": "v"}}  # below, it would lie on the labels
    figure = graph_objects.Figure(layout={"title": {"text": title}, "barmode": "group", **LAYOUT, **beside})
    for name in dict.fromkeys(row.model_filename for row in rows):
        mine = [row for row in rows if row.model_filename == name]
        figure.add_bar(
            x=[f"{plain(row.test)}<br>{plain(row.machine)}" for row in mine],
            y=[row.avg_ts for row in mine],
            error_y={"type": "data", "array": [row.stddev_ts for row in mine]},
            name=plain(name),
        )
    figure.update_yaxes(title_text=plain(rows[0].unit), rangemode="nonnegative")
    return figure
