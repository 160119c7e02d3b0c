# SPDX-License-Identifier: Apache-2.0
"""Results to stdout, progress to stderr."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edgeq.errors import EdgeqError
from edgeq.progress import Progress as Report

stdout = Console()
stderr = Console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2))


def write_file(path: Path, content: bytes) -> None:
    """Writes a file that the user named; what it held before stays where that fails.

    Raises:
        EdgeqError: It cannot be written.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe, a terminal
            path.write_bytes(content)
        else:
            _replace(path.resolve(), content)
    except OSError as error:
        raise EdgeqError("cannot write", file=path, found=error.strerror) from error


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def print_or_write(text: str, file: Path | None) -> None:
    """Results to a file if the user named one, else to stdout.

    Raises:
        EdgeqError: The file cannot be written.
    """
    if file is None:
        print(text, end="")
    else:
        write_file(file, text.encode())


@contextmanager
def progress_bars() -> Iterator[Report]:
    """A bar per stage on stderr, with the time left; yields the function to report to."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=stderr)
    tasks: dict[str, Any] = {}

    def report(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            bars.start()
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    try:
        yield report
    finally:
        if tasks:  # stopping bars that never started would print an empty line
            bars.stop()


def show_log() -> None:
    """Prints what edgeq logs to stderr, above the bars."""
    from rich.logging import RichHandler

    logger = logging.getLogger("edgeq")
    logger.setLevel(logging.INFO)
    logger.addHandler(RichHandler(console=stderr, show_time=False, show_path=False, show_level=False))


def human_bytes(size: float) -> str:
    """A size with a decimal unit, e.g. ``11.5 MB``."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "B" else f"{size:.0f} B"
        size /= 1000
    return f"{size:.3g} GB"


def parse_bytes(text: str, option: str) -> int:
    """A size such as ``4GB``, ``500 MB`` or ``2e9``, in decimal units.

    Raises:
        EdgeqError: It is not one.
    """
    match = re.fullmatch(r"\s*([\d.]+(?:e\d+)?)\s*([kKmMgGtT]?)[bB]?\s*", text)
    try:
        size = float(match[1]) if match else -1.0
    except ValueError:
        size = -1.0
    if match is None or not size >= 0:
        raise EdgeqError("not a size", field=option, found=repr(text), wanted="a number of bytes, such as 4GB")
    return int(size * 1000 ** " kmgt".index(match[2].lower() or " "))
