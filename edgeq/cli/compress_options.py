# SPDX-License-Identifier: Apache-2.0
"""``edgeq compress``'s options."""

from __future__ import annotations

from typing import Annotated

from typer import Option

Mode = Annotated[
    str | None,
    Option(
        help="load: decoded when the model is loaded; use: stays compressed in memory; auto: by measurement, layer "
        "by layer; raw: as it was. (default: load, or auto with a limit)",
        show_default=False,
    ),
]
Codec = Annotated[
    str | None,
    Option(help="rans (densest) or nibble (fastest). (default: rans; auto: the better one)", show_default=False),
]
MaxMemory = Annotated[
    str | None,
    Option("--max-memory", help="What all tensors may take in memory, e.g. 300MB.", show_default=False),
]
MaxSlowdown = Annotated[
    float | None,
    Option("--max-slowdown", help="Time per token over that of raw weights, e.g. 1.1.", show_default=False),
]
DryRun = Annotated[bool, Option("--dry-run", help="Measure and choose; write nothing.")]
