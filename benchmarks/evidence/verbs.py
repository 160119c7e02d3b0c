# SPDX-License-Identifier: Apache-2.0
"""The command lines of benchmarks that measure by one verb and render what was measured by another."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Function = Callable[[argparse.Namespace], None]


class Verbs:
    """The verbs of a benchmark; each of them takes ``--results``.

    Args:
        description: The benchmark's.
        results: File that its results are in by default.
    """

    def __init__(self, description: str | None, results: Path) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        self._parser = argparse.ArgumentParser(description=description, formatter_class=formatter)
        self._verbs, self._results = self._parser.add_subparsers(required=True), results

    def add(self, name: str, function: Function, what: str | None = None) -> argparse.ArgumentParser:
        """A verb that calls a function with its options; what it does is by default the function's own description."""
        verb: argparse.ArgumentParser = self._verbs.add_parser(name, help=what or function.__doc__)
        verb.set_defaults(function=function)
        verb.add_argument("--results", type=Path, default=self._results)
        return verb

    def add_table(self, render: Function) -> None:
        """The verb that renders the results."""
        add_document(self.add("table", render, "render the results"))

    def parse(self) -> argparse.Namespace:
        """The options that were given."""
        return self._parser.parse_args()


def names(text: str) -> list[str]:
    """``a,b`` as a list."""
    return text.split(",")


def add_subjects(verb: argparse.ArgumentParser, models: Sequence[str], **options: Any) -> None:
    """What is measured: ``--data`` and ``--models``."""
    verb.add_argument("--data", type=Path, required=True, help="directory with models/ and data/")
    verb.add_argument("--models", type=names, default=models, **options)


def add_minutes(verb: argparse.ArgumentParser, what: str = "no cell") -> None:
    """How long to go on: ``--minutes``."""
    verb.add_argument("--minutes", type=float, default=1e6, help=f"start {what} after so long")


def add_selection(verb: argparse.ArgumentParser) -> None:
    """Which cells: ``--select``."""
    verb.add_argument("--select", default="", help="regular expression that a cell's label must contain")


def add_document(verb: argparse.ArgumentParser) -> None:
    """Where tables go: ``--write``."""
    verb.add_argument("--write", type=Path, help="document whose marked parts are replaced")
