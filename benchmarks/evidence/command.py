# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks that keep their results in a file have in common on the command line."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from edgeq.errors import EdgeqError
from evidence.document import fill


def conditions() -> dict[str, str]:
    """What figures of quality may depend on."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"edgeq": version("edgeq"), "commit": commit, **{name: version(name) for name in ("onnxruntime", "torch")}}


def publish(parts: Mapping[str, str], document: Path | None) -> None:
    """Prints the sections of a report, or puts them into the marked parts of a document."""
    if document is None:
        print("\n\n".join(f"### {name}\n\n{text}" for name, text in parts.items()))
    else:
        document.write_text(fill(document.read_text(encoding="utf-8"), parts), encoding="utf-8")


def run_verb(options: argparse.Namespace) -> None:
    """Calls the function of the verb; what a user can mend ends the process with one line."""
    try:
        options.function(options)
    except EdgeqError as error:
        sys.exit(f"error: {error}")
