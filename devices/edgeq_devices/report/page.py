# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page: it needs no network, and whatever the results say is text, never markup."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from jinja2 import Environment, StrictUndefined

from edgeq.errors import EdgeqError
from edgeq_devices.report.columns import measurements, powers, qualities
from edgeq_devices.report.documents import Results
from edgeq_devices.report.machine import machines
from edgeq_devices.report.plots import figures

TEMPLATE = "page.html.jinja"
PLOT_CONFIG = {"displayModeBar": False, "responsive": True}
REMEDY = "pip install 'edgeq[report]'"


def render(results: Results, title: str) -> str:
    """The page.

    Raises:
        EdgeqError: plotly is not installed.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text).render(
        title=title,
        results=results,
        measurements=measurements(results),
        powers=powers(results),
        qualities=qualities(results),
        flagged=sum(bool(row.flags) for row in results.rows),
        flags=[(row.where, flag) for row in results.rows for flag in row.flags],
        missing=sorted({(row.device, row.energy_missing) for row in results.rows if row.energy_missing}),
        plots=list(_plots(results)),
        conditions=machines(results),
    )


def _plots(results: Results) -> Iterator[str]:
    """Elements with their scripts; plotly's own comes once, with the first."""
    try:
        for number, figure in enumerate(figures(results)):
            yield figure.to_html(full_html=False, include_plotlyjs=number == 0, config=PLOT_CONFIG)
    except ImportError as error:
        raise EdgeqError("plotly is not installed", remedy=REMEDY) from error
