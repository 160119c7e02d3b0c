# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from edgeq.errors import EdgeqError

Bundle = Annotated[Path, Argument(help="Bundle directory.", show_default=False)]
Output = Annotated[Path | None, Option("--output", "-o", help="Directory to create.", show_default=False)]
Force = Annotated[bool, Option("--force", help="Replace the output directory if it is not empty.")]
AsJson = Annotated[bool, Option("--json", help="Print the result as JSON.")]
Threads = Annotated[
    int | None,
    Option("--threads", "-t", min=1, help="Threads. (default: one per physical core)", show_default=False),
]
Library = Annotated[
    Path | None, Option(help="Operator library to load instead of the installed one.", show_default=False)
]
Verify = Annotated[bool, Option("--verify/--no-verify", help="Check the hashes of the bundle's files.")]


def place_weights(huge_pages: bool) -> bool:
    """Asks for huge pages, as the operators do when a session is opened; says on stderr if there will be none."""
    if huge_pages:
        os.environ["EDGEQ_WEIGHTS"] = "huge-pages"
        if obstacle := _obstacle():
            typer.echo(f"no huge pages, weights stay in the mapped file: {obstacle}", err=True)
    return huge_pages


def _obstacle() -> str:
    try:
        from edgeq_ops import instruction_sets

        return instruction_sets().weights_obstacle
    except (EdgeqError, ImportError):  # said when the bundle's operators are needed
        return ""


HugePages = Annotated[
    bool,
    Option(
        "--huge-pages",
        callback=place_weights,
        help="Copy weights into huge pages: faster generation, and they count as memory of the process.",
    ),
]
