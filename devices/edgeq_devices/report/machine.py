# SPDX-License-Identifier: Apache-2.0
"""The conditions of a profile as plain lines; a result file may hold anything there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgeq_devices.report.documents import Results
from edgeq_devices.tables import binary_size

LONGEST = 400
DEEPEST = 8  # nested values
_BYTES = ("memory_total", "memory_available", "swap_used")


def machines(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    """Of each device its conditions before the first row that was measured there."""
    found: dict[str, list[tuple[str, str]]] = {}
    for profile in results.profiles:
        if profile.conditions:
            board = [("board", profile.board)]
            found.setdefault(profile.device, board + list(_lines(profile.conditions)))
    return list(found.items())


def _lines(conditions: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in conditions.items():
        text = binary_size(value) if name in _BYTES and isinstance(value, int) else _plain(value)
        if text:
            yield name.replace("_", " "), text[:LONGEST]


def _plain(value: object, depth: int = 0) -> str:
    """Nested values with their names; what is unknown or empty is left out."""
    if value is None:
        return ""
    if depth > DEEPEST:
        return "…"
    if isinstance(value, dict):
        known = {str(name): text for name, item in value.items() if (text := _plain(item, depth + 1))}
        return ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in known.items())
    if isinstance(value, list):
        separator = "; " if any(isinstance(item, dict) for item in value) else " "
        return separator.join(_plain(item, depth + 1) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
