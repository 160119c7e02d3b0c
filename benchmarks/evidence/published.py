# SPDX-License-Identifier: Apache-2.0
"""Published perplexities as gaps, ln(perplexity / float16 perplexity) in nats per token, beside ours.

Models and texts differ: the order of the methods and the ratios of the gaps can be compared, not the gaps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from evidence.cells import OWN
from evidence.markdown import signed, table
from evidence.subjects import DECODERS
from evidence.summary import Row
from evidence.targets import DESCENT, GPTQ, MAGR_GPTQ, MAGR_RTN

MINMAX = "rtn (clip minmax)"
# MagR (arXiv 2406.00800), table 3: perplexity of LLaMA-2 7B, 13B and 70B on WikiText-2, per channel.
LLAMA2 = {"7B": 5.47, "13B": 4.88, "70B": 3.31}
MAGR = {
    (4, MINMAX): (6.11, 5.20, 3.67),
    (4, GPTQ): (5.83, 5.13, 3.58),
    (4, MAGR_RTN): (5.91, 5.17, 3.58),
    (4, MAGR_GPTQ): (5.70, 4.97, 3.44),
    (3, MINMAX): (539.48, 10.68, 7.52),
    (3, GPTQ): (8.37, 6.44, 4.82),
    (3, MAGR_RTN): (8.66, 6.55, 4.64),
    (3, MAGR_GPTQ): (6.41, 5.41, 3.82),
    (2, GPTQ): (7.7e3, 2.1e3, 77.95),
    (2, DESCENT): (16.73, 11.14, 5.95),
}
# LUT-GEMM (arXiv 2206.09557), tables 3 and 5: model, float16 perplexity, and that of binary-coded weights.
LUT_GEMM = {
    ("LLaMA-30B", 4.10): {"q4 g128": 4.23, "q3 g128": 4.88},
    ("LLaMA-65B", 3.53): {"q4 g128": 3.67, "q3 g128": 4.24},
    ("OPT-175B", 8.34): {"q4": 8.37, "q3": 8.68, "q2 g128": 9.58, "q2 g32": 8.94},
}


def magr_table(rows: Sequence[Row]) -> str:
    """MagR's table 3 beside ours, per channel."""
    lines = []
    for (bits, method), perplexities in MAGR.items():
        gaps = [_gap(value, base) for value, base in zip(perplexities, LLAMA2.values(), strict=True)]
        ours = [_find(rows, model, f"w{bits}a32-asym", method) for model in DECODERS]
        lines.append([str(bits), method.partition(" (")[0], *gaps, *ours])
    return table(["bits", "method", *(f"LLaMA-2 {size}" for size in LLAMA2), *DECODERS], lines)


def lut_gemm_table(rows: Sequence[Row]) -> str:
    """LUT-GEMM's perplexities, and our best binary-coded weights of as many planes and the same groups."""
    lines = [
        [name, setting, _gap(value, base)]
        for (name, base), values in LUT_GEMM.items()
        for setting, value in values.items()
    ]
    ours = _best_per_scheme(row for row in rows if row.cell.tool == OWN and row.format == "bcq")
    lines += [
        [row.cell.model, f"q{row.weight_bits} {row.group or 'per channel'}, {row.method}", signed(row.loss)]
        for row in ours
    ]
    return table(["model", "weights", "gap, nats/token"], lines)


def _best_per_scheme(rows: Iterable[Row]) -> list[Row]:
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row.cell.model, row.cell.scheme
        if key not in found or row.loss < found[key].loss:
            found[key] = row
    return list(found.values())


def _find(rows: Sequence[Row], model: str, scheme: str, method: str) -> str:
    same = [row for row in rows if (row.cell.model, row.cell.scheme, row.method) == (model, scheme, method)]
    return signed(same[0].loss) if same else ""


def _gap(perplexity: float, base: float) -> str:
    return signed(math.log(perplexity / base))
