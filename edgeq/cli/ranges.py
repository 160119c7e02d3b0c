# SPDX-License-Identifier: Apache-2.0
"""List-valued options, written as llama-bench writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgeq.errors import EdgeqError

_ITEM = re.compile(r"(?P<first>\d+)(-(?P<last>\d+)((?P<sign>[+*])(?P<step>\d+))?)?")
_MAX_ITEMS = 1000
_QUANTITY = re.compile(r"(?P<count>\d+(\.\d+)?)(?P<unit>\D+)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_FRACTIONS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


def parse_numbers(text: str, option: str) -> list[int]:
    """Numbers of ``1,2``, ``1-4``, ``0-512+128`` (steps) and ``1-8*2`` (doubling), in the order given.

    Raises:
        EdgeqError: An item is none of these.
    """
    return [number for item in text.split(",") for number in _expand(item.strip(), option)]


def _expand(item: str, option: str) -> list[int]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise EdgeqError("not a list of numbers", field=option, found=repr(item), wanted="such as 1,2 or 1-8*2")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    sign, step = match["sign"] or "+", int(match["step"] or 1)
    numbers, current = [first], first
    while current < last:
        following = current + step if sign == "+" else current * step
        if following <= current or len(numbers) > _MAX_ITEMS:
            raise EdgeqError("endless range", field=option, found=repr(item), wanted="a range that ends")
        current = following
        if current <= last:
            numbers.append(current)
    return numbers


def parse_cores(text: str) -> list[str]:
    """The sets of processors in ``--cores``: ``big,little,all`` are three, ``0-3,6`` is one.

    Raises:
        EdgeqError: A name is missing.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise EdgeqError("no name", field="--cores", found=repr(text), wanted="such as big,all or 0-3,6")
    return [text] if all(part[0].isdigit() for part in parts) else parts


def parse_duration(text: str, option: str) -> float:
    """Seconds of ``90s``, ``10m`` or ``1.5h``.

    Raises:
        EdgeqError: It is none of these.
    """
    seconds = _seconds(text, _SECONDS)
    if seconds is None:
        raise EdgeqError("not a duration", field=option, found=repr(text), wanted="such as 90s, 10m or 1h")
    return seconds


def parse_time(text: str, option: str) -> float:
    """Seconds of ``50ms``, ``800us`` or ``1.5s``.

    Raises:
        EdgeqError: It is none of these.
    """
    seconds = _seconds(text, _FRACTIONS)
    if seconds is None:
        raise EdgeqError("not a time", field=option, found=repr(text), wanted="such as 50ms, 800us or 1s")
    return seconds


def _seconds(text: str, units: Mapping[str, float]) -> float | None:
    match = _QUANTITY.fullmatch(text)
    return float(match["count"]) * units[match["unit"]] if match and match["unit"] in units else None
