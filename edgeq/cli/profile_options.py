# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile``'s options; those that other verbs have too are in `edgeq.cli.options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

_LIST = "; lists and ranges such as 1,2 or 1-8*2"

PromptTokens = Annotated[str, Option("-p", "--n-prompt", help=f"Prompt tokens{_LIST}; 0 for none.")]
GeneratedTokens = Annotated[str, Option("-n", "--n-gen", help="Tokens generated one at a time; 0 for none.")]
Depth = Annotated[str, Option("-d", "--depth", help="Tokens in the context before, not timed.")]
Repetitions = Annotated[int, Option("-r", "--repetitions", min=1, help="Timed repetitions of each test.")]
Threads = Annotated[
    str | None, Option("-t", "--threads", help="Threads (default: one per physical core).", show_default=False)
]
Device = Annotated[str, Option("--device", help="local, ssh://[user@]host[:port] or adb://[serial].")]
Cores = Annotated[
    list[str] | None,
    Option("--cores", help="Clusters of the board and all, or 0-3,6; may be repeated.", show_default=False),
]
Library = Annotated[
    Path | None, Option("--library", help="Operator library for the board's platform.", show_default=False)
]
Python = Annotated[str | None, Option("--python", help="Interpreter on the board.", show_default=False)]
Power = Annotated[
    str, Option("--power", help="auto: the board's sensors; none; external:FILE.csv or external:/dev/ttyUSB0.")
]
NoPower = Annotated[bool, Option("--no-power", help="The same as --power none.")]
Sustain = Annotated[
    str | None, Option("--sustain", help="Repeat each test for this long: 90s, 10m.", show_default=False)
]
Operators = Annotated[bool, Option("--operators", help="Also time each operator; slower.")]
Trace = Annotated[Path | None, Option("--trace", help="Write the last row's trace, for Perfetto.", show_default=False)]
CoolDown = Annotated[
    float | None,
    Option(
        "--cool-down",
        min=0,
        max=86400,
        help="Seconds to wait before a flagged row is measured once more.",
        show_default=False,
    ),
]
NoWarmup = Annotated[bool, Option("--no-warmup", help="Do not run once untimed before.")]
Layers = Annotated[
    bool,
    Option(
        "--layers",
        help="Time each matrix product of a model under each of --candidates, for edgeq export --max-latency; BUNDLE "
        "is then a checkpoint.",
    ),
]
Candidates = Annotated[
    str | None, Option("--candidates", help="With --layers: schemes. (default: 2, 3, 4 and 8 bits)", show_default=False)
]
Vocabulary = Annotated[
    str | None, Option("--vocabulary", help="With --layers: scheme of the output head.", show_default=False)
]
Format = Annotated[str, Option("--format", help="md, csv or json.")]
Output = Annotated[Path | None, Option("-o", "--output", help="Write to a file instead of stdout.", show_default=False)]
