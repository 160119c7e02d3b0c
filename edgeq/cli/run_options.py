# SPDX-License-Identifier: Apache-2.0
"""``edgeq run``'s options."""

from __future__ import annotations

from typing import Annotated

from typer import Option

Prompt = Annotated[
    str | None,
    Option(
        "--prompt",
        "-p",
        help="Text to continue; - reads it from stdin. Without it: interactive.",
        show_default=False,
    ),
]
MaxNewTokens = Annotated[int, Option("--max-new-tokens", "-n", min=1, help="Tokens to generate at most.")]
Temperature = Annotated[
    float | None, Option(min=0, help="0: the most likely token. (default: as the bundle says)", show_default=False)
]
TopK = Annotated[int | None, Option(min=0, help="Draw from the k most likely tokens; 0: all.", show_default=False)]
TopP = Annotated[
    float | None,
    Option(min=0, max=1, help="Draw from the most likely tokens that together reach it.", show_default=False),
]
MinP = Annotated[
    float | None,
    Option(min=0, max=1, help="Drop tokens below this share of the most likely one's probability.", show_default=False),
]
RepetitionPenalty = Annotated[float | None, Option(help="Above 1: disfavour tokens already seen.", show_default=False)]
Seed = Annotated[int | None, Option(min=0, help="Seed of the sampler. (default: random)", show_default=False)]
Stop = Annotated[list[str] | None, Option(help="End at this string; may be repeated.", show_default=False)]
System = Annotated[str | None, Option(help="System message of a chat.", show_default=False)]
Templated = Annotated[
    bool | None,
    Option("--chat/--raw", help="Apply the chat template, or not. (default: if there is one)", show_default=False),
]
AsJson = Annotated[bool, Option("--json", help="Print text, tokens and timings as JSON.")]
