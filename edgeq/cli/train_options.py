# SPDX-License-Identifier: Apache-2.0
"""``edgeq train``'s options; those that it shares with ``edgeq export`` are in `edgeq.cli.export_options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Model = Annotated[str, Argument(help="Checkpoint directory or hub id.", show_default=False)]
Text = Annotated[Path, Option(help="What it learns from: text, .jsonl with a field text, or token ids (.npy, .json).")]
Output = Annotated[Path, Option("--output", "-o", help="Checkpoint directory to create.")]
Scheme = Annotated[
    str | None, Option(help="Scheme, e.g. w4g128, w2g32-asym, w4a8. (default: w4g128)", show_default=False)
]
SchemesOf = Annotated[
    Path | None,
    Option(help="Bundle whose layers' schemes it learns under, e.g. of export --avg-bits.", show_default=False),
]
Steps = Annotated[int | None, Option(help="Steps of the optimizer. (default: 1000)", show_default=False)]
Batch = Annotated[int | None, Option(help="Windows that a process reads at a time. (default: 8)", show_default=False)]
Accumulate = Annotated[int | None, Option(help="Batches whose gradients make a step. (default: 1)", show_default=False)]
Length = Annotated[
    int | None, Option(help="Tokens per window. (default: 512, or the model's context)", show_default=False)
]
LearningRate = Annotated[
    float | None, Option("--lr", help="Peak learning rate of the weights. (default: 0.0002)", show_default=False)
]
GammaRate = Annotated[
    float | None, Option("--gamma-lr", help="The same of log γ. (default: 0.002)", show_default=False)
]
Gamma = Annotated[
    str | None,
    Option(help="What shares a trained γ: group, channel, tensor; off for none. (default: group)", show_default=False),
]
Gradient = Annotated[
    str | None,
    Option(
        help="What stands for the quantizer's derivative: ste, soft-clamp, sigmoid. (default: ste)",
        show_default=False,
    ),
]
Loss = Annotated[
    str | None,
    Option(help="kl: predictions of the original; ce: the text; mix: both. (default: kl)", show_default=False),
]
Mix = Annotated[float | None, Option(help="With --loss mix: share of the text's. (default: 0.5)", show_default=False)]
Init = Annotated[str | None, Option(help="What quantizes the start: rtn or gptq. (default: rtn)", show_default=False)]
InitOption = Annotated[
    list[str] | None, Option(help="METHOD.FIELD=VALUE of --init, e.g. gptq.act_order=true.", show_default=False)
]
Warmup = Annotated[
    float | None, Option(help="Share of the steps in which rates rise. (default: 0.05)", show_default=False)
]
WeightDecay = Annotated[float | None, Option(help="Of the matrices. (default: 0)", show_default=False)]
Seed = Annotated[int | None, Option(help="Of the order of the windows. (default: 0)", show_default=False)]
Bfloat16 = Annotated[bool, Option("--bf16", help="Compute products in bfloat16.")]
Validation = Annotated[
    Path | None, Option(help="Held-out text; the weights that do best on it are kept.", show_default=False)
]
EvaluateEvery = Annotated[int | None, Option(help="Steps between evaluations on it. (default: 50)", show_default=False)]
Patience = Annotated[
    int | None, Option(help="Stop after so many evaluations without a better one.", show_default=False)
]
WorkDir = Annotated[
    Path | None,
    Option(help="Where the state is kept meanwhile. (default: .OUTPUT.work beside the output)", show_default=False),
]
SaveEvery = Annotated[int, Option(min=1, help="Steps between two savings of the state.")]
