# SPDX-License-Identifier: Apache-2.0
"""``edgeq export``'s options; those for bit allocation are in `edgeq.cli.budget_options`, shared ones in `options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Model = Annotated[str | None, Argument(help="Checkpoint directory, .onnx file or hub id.", show_default=False)]
Bits = Annotated[
    int | None, Option(help="Bits per weight: 2, 3, 4 or 8; scheme and method by --quality.", show_default=False)
]
Quality = Annotated[
    str | None,
    Option(
        help="With --bits: fast, balanced or best, at the cost of time and size (docs/accuracy.md). "
        "(default: balanced)",
        show_default=False,
    ),
]
Scheme = Annotated[
    str | None, Option(help="Scheme, e.g. w4g128, w3g64-bcq, w8, fp32. (default: w4g128)", show_default=False)
]
NumberFormat = Annotated[
    str | None,
    Option(
        "--format",
        help="With --bits or --scheme: uniform, dint, dint0.25, dint0.125, bcq, codebook, or auto: whichever of "
        "the first four errs least, layer by layer.",
        show_default=False,
    ),
]
GroupSize = Annotated[
    int | None,
    Option("--group-size", help="With --bits: weights per scale; 0 for one per row.", show_default=False),
]
Vocabulary = Annotated[
    str | None,
    Option(help="Scheme of token embedding and output head. (default: 8 bits, same groups)", show_default=False),
]
Layer = Annotated[
    list[str] | None,
    Option(help="PATTERN=SCHEME for layers whose name matches, e.g. lm_head=w8g64.", show_default=False),
]
Skip = Annotated[list[str] | None, Option(help="PATTERN of layers to keep in float32.", show_default=False)]
Method = Annotated[
    str | None,
    Option(help="Methods joined by +, e.g. gptq, awq+gptq, magr+gptq. (default: rtn)", show_default=False),
]
MethodOption = Annotated[
    list[str] | None, Option(help="METHOD.FIELD=VALUE, e.g. gptq.act_order=true.", show_default=False)
]
MagrAlpha = Annotated[
    str | None, Option(help="Short for --method-option magr.alpha=…; a number or auto.", show_default=False)
]
Clip = Annotated[
    str | None,
    Option(help="Range of a group: l3, mse or minmax. (default: as the method likes it)", show_default=False),
]
Calibration = Annotated[
    Path | None,
    Option(
        help="What the model reads while its layers are observed: text, .jsonl with a field text, or token ids "
        "(.npy, .json).",
        show_default=False,
    ),
]
Samples = Annotated[int | None, Option(help="Calibration windows. (default: 128)", show_default=False)]
Length = Annotated[
    str | None,
    Option(
        "--length",
        "--calibration-length",
        help="Tokens per window, or auto: by --task-lengths, or by error on held-out windows. (default: 512, or "
        "the model's context; encoders: as long as the file's texts)",
        show_default=False,
    ),
]
TaskLengths = Annotated[
    str | None,
    Option(
        help="Lengths of what the model will be used for: a file, 160, 32-128, 32+128 (prompt and generation), or "
        "64:10,512:3.",
        show_default=False,
    ),
]
Seed = Annotated[int | None, Option(help="What the windows are drawn with. (default: 0)", show_default=False)]
Sequential = Annotated[
    bool | None,
    Option(
        "--sequential/--no-sequential",
        help="Observe a layer after those before it in its block are quantized. (default: --sequential)",
        show_default=False,
    ),
]
Memory = Annotated[
    str | None,
    Option(help="What calibration activations may take, e.g. 4GB; the rest is on disk.", show_default="4GB"),
]
WorkDir = Annotated[
    Path | None,
    Option(
        help="Where a calibrated run keeps finished blocks, to continue after an interruption. "
        "(default: .OUTPUT.work beside the output)",
        show_default=False,
    ),
]
Portable = Annotated[bool, Option("--portable", help="Write stock MatMulNBits instead of edgeq's operators.")]
BitsPerWeight = Annotated[
    float | None,
    Option(
        help="Entropy-coded bits per weight, e.g. 3.6: 8-bit codes with coarser steps (--method ecgptq, without "
        "calibration ecsq), compressed as --compress says (load).",
        show_default=False,
    ),
]
Compress = Annotated[
    str | None,
    Option(
        help="Entropy-code the weights once more: load (decoded at load), use (stay compressed in memory), or with "
        "a codec, such as use:nibble; edgeq compress chooses layer by layer.",
        show_default=False,
    ),
]
KvCache = Annotated[
    str | None,
    Option(help="Keep keys and values of past tokens in 8 or 4 bits: kv8 or kv4.", show_default="float"),
]
Target = Annotated[
    list[str] | None,
    Option(
        help="Platform whose operators the bundle holds, such as linux-aarch64; may be repeated. "
        "(default: this machine's)",
        show_default=False,
    ),
]
Revision = Annotated[str | None, Option(help="Revision on the hub.", show_default=False)]
Recipe = Annotated[Path | None, Option(help="Start from a recipe (TOML).", show_default=False)]
SaveRecipe = Annotated[Path | None, Option(help="Write the recipe of this export here.", show_default=False)]
DryRun = Annotated[bool, Option("--dry-run", help="Show the plan and what it would take; write nothing.")]
Verbose = Annotated[
    bool, Option("--verbose", "-v", help="Print the time and the output error of each calibrated layer.")
]
