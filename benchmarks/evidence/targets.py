# SPDX-License-Identifier: Apache-2.0
"""What was aimed at, checked against what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from evidence.cells import OWN
from evidence.markdown import signed, table
from evidence.subjects import DECODERS
from evidence.summary import Row, best

SEARCHED = " (beta auto, clip minmax)"
RTN, GPTQ = f"rtn{SEARCHED}", f"gptq{SEARCHED}"
MAGR_RTN, MAGR_GPTQ, DESCENT = f"magr+rtn{SEARCHED}", f"magr+gptq{SEARCHED}", f"magr+gptq+cd{SEARCHED}"


def target_table(rows: Sequence[Row]) -> str:
    """Every target on every decoder."""
    own = [row for row in rows if row.cell.tool == OWN]
    lines = [[model, *line] for model in DECODERS for line in _lines([row for row in own if row.cell.model == model])]
    return table(["model", "target", "measured, nats/token", "met"], lines)


def _lines(rows: Sequence[Row]) -> Iterator[list[str]]:
    for bits in (3, 2):
        found = {row.method: row for row in rows if row.cell.scheme == f"w{bits}a32-asym"}
        yield from _ordered(found, bits, MAGR_GPTQ, GPTQ, RTN)
        yield from _ordered(found, bits, MAGR_RTN, RTN)
        if bits == 2:
            yield from _ordered(found, bits, DESCENT, MAGR_GPTQ)
    yield from _half(rows)


def _ordered(found: dict[str, Row], bits: int, *methods: str) -> Iterator[list[str]]:
    """Losses must not rise from one method to the next."""
    if not all(method in found for method in methods):
        return
    losses = [found[method].loss for method in methods]
    excess = max(first - second for first, second in pairwise(losses))
    error = found[methods[0]].mean("standard_error")
    answer = _answer(excess <= 0) if excess <= 0 or excess > error else f"equal within the standard error, {error:.4f}"
    names = " ≤ ".join(method.removesuffix(SEARCHED) for method in methods)
    yield [f"{bits} bits per channel: {names}", " / ".join(signed(loss) for loss in losses), answer]


def _half(rows: Sequence[Row]) -> Iterator[list[str]]:
    """The best method at 3 bits and groups of 64 or 32 loses at most half of what round to nearest does."""
    for group in ("g64", "g32"):
        scheme = f"w3a32{group}-asym"
        plain = [
            row for row in rows if row.cell.scheme == scheme and row.cell.method == "rtn" and row.cell.seed is None
        ]
        if not plain:
            continue
        rtn = min(plain, key=lambda row: row.loss)
        winner = best(rows, rtn.bits)
        assert winner is not None
        share = _gap(winner) / _gap(rtn)
        text = f"{signed(winner.loss)} ({winner.cell.scheme} {winner.method}) / {signed(rtn.loss)}"
        yield [f"3 bits {group}: at most half of RTN's perplexity gap", f"{text}: {share:.2f}", _answer(share <= 0.5)]


def _gap(row: Row) -> float:
    return row.mean("perplexity") - row.mean("reference_perplexity")


def _answer(met: bool) -> str:
    return "yes" if met else "no"
