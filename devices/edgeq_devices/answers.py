# SPDX-License-Identifier: Apache-2.0
"""What a board says is not to be trusted: sizes are bounded, numbers are finite, everything else is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import IO, Any, NoReturn

from edgeq.errors import EdgeqError

LINE_BYTES = 4 << 20
"""Longest line; the token times of 100,000 tokens take 2 MB."""
TOTAL_BYTES = 256 << 20
GREATEST_NUMBER = 1 << 63


def parse_answer(line: bytes, device: str) -> dict[str, Any]:
    """One JSON object, its texts without control characters.

    Raises:
        EdgeqError: It is something else, or a number in it is not finite or does not fit 64 bits.
    """
    try:
        answer = json.loads(line, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_finite)
        answer = _cleaned(answer)
    except (ValueError, RecursionError) as error:
        raise _nonsense(line, device) from error
    if not isinstance(answer, dict):
        raise _nonsense(line, device)
    return answer


def read_lines(stream: IO[bytes], device: str) -> Iterator[bytes]:
    """Lines of a stream, none longer than `LINE_BYTES`, together no more than `TOTAL_BYTES`.

    Raises:
        EdgeqError: They are.
    """
    total = 0
    while line := stream.readline(LINE_BYTES + 1):
        total += len(line)
        if len(line) > LINE_BYTES or total > TOTAL_BYTES:
            raise EdgeqError("the board sends too much", field=device, found=f"{total} bytes", wanted="events")
        yield line


def number(answer: dict[str, Any], name: str, device: str) -> float:
    """A number of an answer.

    Raises:
        EdgeqError: It is missing or of another type.
    """
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EdgeqError(f"wrong {name} from the board", field=device, found=repr(value)[:80], wanted="a number")
    return value


def text(answer: dict[str, Any], name: str, device: str) -> str:
    """A text of an answer, as one printable line.

    Raises:
        EdgeqError: It is missing or of another type.
    """
    value = answer.get(name)
    if not isinstance(value, str):
        raise EdgeqError(f"wrong {name} from the board", field=device, found=repr(value)[:80], wanted="a text")
    return printable(value)


def printable(value: str) -> str:
    """Without control characters, which could rewrite the user's terminal; at most 400 characters."""
    return without_control(value[:400])


def without_control(value: str) -> str:
    """On one line that cannot write to the user's terminal."""
    return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)


def _cleaned(value: Any) -> Any:
    """The same with every text printable, names included."""
    if isinstance(value, str):
        return without_control(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {without_control(name): _cleaned(item) for name, item in value.items()}
    return value


def _integer(digits: str) -> int:
    value = int(digits)
    if abs(value) >= GREATEST_NUMBER:
        raise ValueError(digits[:80])
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):  # 1e999
        raise ValueError(digits[:80])
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and the infinities, which JSON does not have


def _nonsense(line: bytes, device: str) -> EdgeqError:
    return EdgeqError("the board sends something else than events", field=device, found=repr(line[:80]))
