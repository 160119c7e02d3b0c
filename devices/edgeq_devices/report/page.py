# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page: it needs no network, and whatever the results say is text, never markup."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from jinja2 import Environment, StrictUndefined

from edgeq.errors import EdgeqError
from edgeq_devices.report.documents import Profile, Results
from edgeq_devices.report.plots import figures
from edgeq_devices.tables import binary_size, parameter_count, processor_ranges

TEMPLATE = "page.html.jinja"
REMEDY = "pip install 'edgeq[report]'"


def render(results: Results, title: str) -> str:
    """The page.

    Raises:
        EdgeqError: plotly is not installed.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"size": binary_size, "count": parameter_count, "cores": processor_ranges}
    text = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text).render(
        title=title,
        results=results,
        plots=list(_plots(results)),
        conditions=[(profile.device, _conditions(profile)) for profile in results.profiles if profile.conditions],
    )


def _plots(results: Results) -> Iterator[str]:
    """Elements with their scripts; plotly's own comes once, with the first."""
    try:
        for number, figure in enumerate(figures(results)):
            yield figure.to_html(full_html=False, include_plotlyjs=number == 0)
    except ImportError as error:
        raise EdgeqError("plotly is not installed", remedy=REMEDY) from error


def _conditions(profile: Profile) -> list[tuple[str, str]]:
    """The machine before the first row, as far as it is plain."""
    found = profile.conditions or {}
    plain = [(name, value) for name, value in found.items() if isinstance(value, str | int | float)]
    nested = [(name, value) for name, value in found.items() if isinstance(value, dict | list) and value]
    return [(name.replace("_", " "), str(value)[:400]) for name, value in plain + nested]
