# SPDX-License-Identifier: Apache-2.0
"""``edgeq eval``'s options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

Text = Annotated[Path | None, Option(help="Text file: perplexity of a decoder on it.", show_default=False)]
Sts = Annotated[Path | None, Option(help="STS-B file: Spearman correlation of an encoder on it.", show_default=False)]
Against = Annotated[
    str | None,
    Option(help="The original: a checkpoint (evaluated in PyTorch, float32) or another bundle.", show_default=False),
]
Window = Annotated[
    int | None, Option(min=2, help="Tokens per window. (default: the context, at most 512)", show_default=False)
]
Windows = Annotated[int | None, Option(min=1, help="Windows at most. (default: the whole text)", show_default=False)]
Limit = Annotated[int | None, Option(min=1, help="Tokens of the text at most. (default: all)", show_default=False)]
