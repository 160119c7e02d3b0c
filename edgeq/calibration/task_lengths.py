# SPDX-License-Identifier: Apache-2.0
"""The calibration length from the lengths of what the model will be used for.

Source: SLAC, sequence-length-aware calibration (arXiv 2311.05161), section 4: calibrate with windows about as long as
the task's. The paper chooses by hand; here it is the median length, every task counted with its tokens, rounded to the
nearest power of two.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeq.calibration.data import MIN_LENGTH
from edgeq.calibration.sources import JSON_LINES, read_documents
from edgeq.errors import EdgeqError
from edgeq.texts import read_text

FLAG = "--task-lengths"
WANTED = "a file, a length such as 160, a range 32-128, prompt and generation 32+128, or a histogram 64:10,512:3"


@dataclass(frozen=True)
class LengthChoice:
    """A calibration length.

    Attributes:
        length: Tokens per window.
        reason: Why, in a line.
        distortions: Error by length, where it was measured.
    """

    length: int
    reason: str
    distortions: dict[int, float] = field(default_factory=dict)


def read_task_lengths(text: str, tokens_of: Callable[[str], int]) -> Counter[int]:
    """How often each length occurs.

    Args:
        text: What the user gave: the name of a file, or lengths as in `WANTED`. A file holds a length per line, or a
            length and how often it occurs; JSON lines hold the task's texts.
        tokens_of: Tokens of a text.

    Raises:
        EdgeqError: It is none of these, or there is no length in it.
    """
    path = Path(text)
    if path.is_file():
        return _read_file(path, tokens_of)
    if match := re.fullmatch(r"(\d+)-(\d+)", text):
        low, high = int(match[1]), int(match[2])
        return _checked(Counter(range(low, high + 1)), text)
    if match := re.fullmatch(r"(\d+)\+(\d+)", text):
        return _checked(Counter([int(match[1]) + int(match[2])]), text)
    return _checked(_histogram(text.split(","), FLAG, text), text)


def choose_length(lengths: Mapping[int, int], context: int) -> LengthChoice:
    """The calibration length for a task.

    Args:
        lengths: How often each length occurs.
        context: The longest window that the model takes.

    Raises:
        EdgeqError: A task is longer than the context.
    """
    longest = max(lengths)
    if longest > context:
        raise EdgeqError(
            "longer than the model's context",
            field=FLAG,
            found=f"{longest} tokens",
            wanted=f"at most {context}",
            remedy="cut the task's inputs as they will be cut in use",
        )
    median = _median_token(lengths)
    length = max(MIN_LENGTH, min(2 ** round(math.log2(median)), context))
    count = sum(lengths.values())
    tasks = f"{count} task lengths from {min(lengths)} to {longest}" if len(lengths) > 1 else "the task's length"
    return LengthChoice(length, f"half of the tokens are in inputs of up to {median} tokens ({tasks})")


def _median_token(lengths: Mapping[int, int]) -> int:
    """The length of the input that holds the middle one of all tokens."""
    total, seen = sum(length * count for length, count in lengths.items()), 0
    for length in sorted(lengths):
        seen += length * lengths[length]
        if 2 * seen >= total:
            return length
    raise AssertionError("no lengths")


def _read_file(path: Path, tokens_of: Callable[[str], int]) -> Counter[int]:
    if path.suffix.lower() in JSON_LINES:
        return _checked(Counter(tokens_of(text) for text in read_documents(path)), str(path))
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    return _checked(_histogram(lines, str(path), str(path)), str(path))


def _histogram(parts: Iterable[str], field_name: str, text: str) -> Counter[int]:
    lengths: Counter[int] = Counter()
    for part in parts:
        match = re.fullmatch(r"\s*(\d+)(?:\s*[:,\s]\s*(\d+))?\s*", part)
        if match is None:
            raise EdgeqError("not lengths of tasks", field=field_name, found=repr(part[:40]), wanted=WANTED)
        lengths[int(match[1])] += int(match[2] or 1)
    return lengths


def _checked(lengths: Counter[int], text: str) -> Counter[int]:
    found = Counter({length: count for length, count in lengths.items() if count > 0})
    if not found or min(found) < 1:
        raise EdgeqError("no lengths of tasks", field=FLAG, found=repr(text[:80]), wanted=WANTED)
    return found
