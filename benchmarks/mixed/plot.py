# SPDX-License-Identifier: Apache-2.0
"""A scatter plot with logarithmic axes as SVG; no library is needed for so little."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIZE, MARGIN = 420, 60
COLOURS = ("#3366cc", "#dc3912", "#109618", "#ff9900")


@dataclass(frozen=True)
class Point:
    """One allocation.

    Attributes:
        series: Its model.
        x: Predicted, above 0.
        y: Measured, above 0.
    """

    series: str
    x: float
    y: float


def scatter(points: Sequence[Point], x_title: str, y_title: str) -> str:
    """The plot, with the diagonal on which prediction and measurement are equal."""
    values = [value for point in points for value in (point.x, point.y)] or [1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def place(value: float) -> float:
        return MARGIN + (math.log10(value) - low) / (high - low) * (SIZE - 2 * MARGIN)

    names = list(dict.fromkeys(point.series for point in points))
    parts = [*_axes(low, high, x_title, y_title)]
    for point in points:
        colour = COLOURS[names.index(point.series) % len(COLOURS)]
        parts.append(f'<circle cx="{place(point.x):.1f}" cy="{SIZE - place(point.y):.1f}" r="3.5" fill="{colour}"/>')
    for number, name in enumerate(names):
        y = MARGIN + 16 + 16 * number
        parts.append(f'<circle cx="{MARGIN + 12}" cy="{y - 4}" r="3.5" fill="{COLOURS[number % len(COLOURS)]}"/>')
        parts.append(f'<text x="{MARGIN + 20}" y="{y}">{name}</text>')
    style = 'font-family="sans-serif" font-size="11"'
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}" {style}>\n'
        f'<rect width="{SIZE}" height="{SIZE}" fill="white"/>\n{body}\n</svg>\n'
    )


def _axes(low: int, high: int, x_title: str, y_title: str) -> list[str]:
    inner = SIZE - 2 * MARGIN
    parts = [
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{inner}" height="{inner}" fill="none" stroke="#888"/>',
        f'<line x1="{MARGIN}" y1="{SIZE - MARGIN}" x2="{SIZE - MARGIN}" y2="{MARGIN}" stroke="#bbb"/>',
        f'<text x="{SIZE / 2}" y="{SIZE - 18}" text-anchor="middle">{x_title}</text>',
        f'<text transform="translate(16 {SIZE / 2}) rotate(-90)" text-anchor="middle">{y_title}</text>',
    ]
    for power in range(low, high + 1):
        at = MARGIN + (power - low) / (high - low) * inner
        parts.append(f'<text x="{at:.1f}" y="{SIZE - MARGIN + 16}" text-anchor="middle">{10.0**power:g}</text>')
        parts.append(f'<text x="{MARGIN - 6}" y="{SIZE - at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    return parts
