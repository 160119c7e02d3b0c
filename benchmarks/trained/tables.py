# SPDX-License-Identifier: Apache-2.0
"""The results as Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evidence.markdown import NOTHING, signed, table
from evidence.results import Record

from trained.variants import MODELS, SCHEMES, Variant, variants

HEADER = ("weights", "method", "MB", "of fp32", "of fp16", "perplexity", "of fp32's", "change, nats/token", "KL")
PTQ = ("rtn", "gptq", "gptq+refit")


def sections(results: Iterable[Record], speed: Path) -> dict[str, str]:
    """Every part of docs/ptq-vs-qat.md that is made of results."""
    records = {record.cell.key: record for record in results}
    parts = {f"quality {model}": _quality(model, records) for model in MODELS}
    return parts | {"targets": _targets(records), "speed": _speed(speed)}


def _quality(model: str, records: dict[str, Record]) -> str:
    rows = [(variant, records[variant.cell(model).key]) for variant in _ordered() if variant.cell(model).key in records]
    if not rows or rows[0][0].bits != 32:  # sizes are told against full precision
        return NOTHING
    whole = 4 * rows[0][1].result["weights"]
    return table(HEADER, [_row(variant, record, whole) for variant, record in rows])


def _ordered() -> Iterator[Variant]:
    """By bits, then as they are measured."""
    yield from sorted(variants(), key=lambda variant: -variant.bits)


def _row(variant: Variant, record: Record, whole: int) -> list[str]:
    result = record.result
    size, steps = _bytes(result, whole), dict(record.cell.options).get("steps")
    ratio = math.exp(result["loss_difference"]) - 1
    label = variant.label + (f", {steps} steps" if steps else "")
    return [
        record.cell.scheme,
        label,
        f"{size / 1e6:.2f}",
        f"{100 * (size / whole - 1):+.0f} %",
        f"{100 * (2 * size / whole - 1):+.0f} %",
        f"{result['perplexity']:.2f}",
        f"{100 * ratio:+.1f} %",
        f"{signed(result['loss_difference'])} ± {result['standard_error']:.4f}",
        f"{result['kl_divergence']:.4f}",
    ]


def _bytes(result: dict[str, Any], whole: int) -> float:
    """Stored bytes of all matrices; records of docs/accuracy.md tell them as bits per weight."""
    return float(result["weight_bytes"] if "weight_bytes" in result else result["bits_with_vocabulary"] / 32 * whole)


def _targets(records: dict[str, Record]) -> str:
    rows = [row for model in MODELS for row in _targets_of(model, records)]
    return table(("model", "target", "measured", "met"), rows)


def _targets_of(model: str, records: dict[str, Record]) -> Iterator[list[str]]:
    found = {(v.bits, v.label): records[v.cell(model).key] for v in variants() if v.cell(model).key in records}
    trained = {bits: found[bits, "QAT, γ trained"] for bits in SCHEMES if (bits, "QAT, γ trained") in found}
    if 4 in trained:
        result = trained[4].result
        ratio, saved = math.exp(result["loss_difference"]) - 1, 1 - result["weight_bytes"] / (4 * result["weights"])
        measured = f"{100 * ratio:+.1f} %, {100 * saved:.0f} % less than fp32, {100 * (2 * saved - 1):.0f} % than fp16"
        yield [model, "QAT at 4 bits within 6 % of fp32, 68 % smaller", measured, _met(ratio <= 0.06 and saved >= 0.68)]
    if (8, "PTQ, γ searched") in found:
        ratio = math.exp(found[8, "PTQ, γ searched"].result["loss_difference"]) - 1
        yield [model, "PTQ at 8 bits within 1 %", f"{100 * ratio:+.2f} %", _met(abs(ratio) <= 0.01)]
    for bits in (3, 2):
        others = [r for (b, _), r in found.items() if b == bits and r.cell.method in PTQ]
        if bits in trained and others:
            best = min(others, key=lambda record: float(record.result["loss_difference"]))
            yield [model, f"QAT better than the best PTQ at {bits} bits", *_against(trained[bits], best)]


def _against(trained: Record, best: Record) -> list[str]:
    ours, theirs = (record.result["loss_difference"] for record in (trained, best))
    distances = [record.result["kl_divergence"] for record in (trained, best)]
    losses = f"{signed(ours)} against {signed(theirs)} ({best.cell.method})"
    measured = f"{losses}; KL {distances[0]:.4f} against {distances[1]:.4f}"
    return [measured, _met(ours < theirs)]


def _met(holds: bool) -> str:
    return "yes" if holds else "no"


def _speed(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    latest: dict[str, dict[str, Any]] = {line["bundle"]: line for line in map(json.loads, lines)}
    return table(("bundle", "pp128, tokens/s", "tg64, tokens/s", "anonymous memory, MB", "energy"), _speed_rows(latest))


def _speed_rows(latest: dict[str, dict[str, Any]]) -> Sequence[list[str]]:
    return [
        [name, f"{line['prompt']:.0f}", f"{line['generation']:.0f}", f"{line['memory'] / 1e6:.0f}", line["energy"]]
        for name, line in sorted(latest.items())
    ]
