# SPDX-License-Identifier: Apache-2.0
"""Markdown tables and numbers."""

from __future__ import annotations

from collections.abc import Sequence

NOTHING = "Not measured yet."


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; `NOTHING` without rows."""
    if not rows:
        return NOTHING
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def signed(value: float) -> str:
    """A change of the loss."""
    return f"{value:+.4f}" if abs(value) < 1 else f"{value:+.2f}"


def with_spread(text: str, spread: float | None) -> str:
    """A mean and half its range."""
    return text if spread is None else f"{text} ±{spread:.4f}"
