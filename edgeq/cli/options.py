# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from typer import Option

Threads = Annotated[
    int | None,
    Option("--threads", "-t", min=1, help="Threads. (default: one per physical core)", show_default=False),
]
Library = Annotated[
    Path | None, Option(help="Operator library to load instead of the installed one.", show_default=False)
]
Verify = Annotated[bool, Option("--verify/--no-verify", help="Check the hashes of the bundle's files.")]


def _place_weights(huge_pages: bool) -> bool:
    if huge_pages:
        os.environ["EDGEQ_WEIGHTS"] = "huge-pages"  # the operators read it when a session is opened
    return huge_pages


HugePages = Annotated[
    bool,
    Option(
        "--huge-pages",
        callback=_place_weights,
        help="Copy weights into huge pages: faster generation, and they count as memory of the process.",
    ),
]
