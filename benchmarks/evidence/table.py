# SPDX-License-Identifier: Apache-2.0
"""The results as Markdown."""

from __future__ import annotations

from evidence.results import Results


def render(results: Results) -> str:
    """All tables."""
    return "\n".join(str(record.result) for record in results)
