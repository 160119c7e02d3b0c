# SPDX-License-Identifier: Apache-2.0
"""Tables of measured allocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from evidence.markdown import NOTHING, signed, table

from mixed.plot import Point, scatter

Record = dict[str, Any]
BLIND = ("uniform", "first layers", "last layers", "random layers")
KINDS = ("noise", "fisher", "kl", "output")


def sections(records: Sequence[Record]) -> dict[str, str]:
    """The parts of the document by name."""
    return {
        "allocations": _allocations([record for record in records if record["key"][2]]),
        "correlation": _correlations(records),
    }


def plots(records: Sequence[Record]) -> dict[str, str]:
    """Pictures by file name: predicted against measured divergence, a series for each model."""
    points = [
        Point(record["key"][0], record["predicted"]["fisher"], record["result"]["kl_divergence"])
        for record in records
        if "fisher" in record["predicted"]
    ]
    return {"allocation.svg": scatter(points, "predicted by fisher, nats/token", "measured KL divergence, nats/token")}


def _allocations(records: Sequence[Record]) -> str:
    """One row per allocation, grouped by model and budget; blind ones of the same size last."""
    rows = []
    for record in sorted(records, key=_order):
        model, method, budget, name = record["key"]
        result = record["result"]
        rows.append(
            [
                model,
                method,
                f"{budget:.1f}",
                f"{result['bits_per_weight']:.3f}",
                f"{result['bytes']:,}",
                f"**{name}**" if not name.startswith(BLIND) else name,
                f"{signed(result['loss_difference'])} ±{result['standard_error']:.4f}",
                f"{result['perplexity']:.3f}",
                f"{result['kl_divergence']:.4f}",
            ]
        )
    header = ["model", "method", "bits", "stored", "bytes", "allocation", "nats/token", "perplexity", "KL"]
    return table(header, rows)


def _order(record: Record) -> tuple[str, str, float, bool, str]:
    model, method, budget, name = record["key"]
    return model, method, budget, name.startswith(BLIND), name


def _correlations(records: Sequence[Record]) -> str:
    """How well each kind predicts the order and the size of the measured divergence."""
    rows = []
    for model in dict.fromkeys(record["key"][0] for record in records):
        for kind in KINDS:
            pairs = _pairs(records, model, kind)
            if len(pairs) < 3:
                continue
            predicted, measured = np.array(pairs).T
            pearson = np.corrcoef(np.log(predicted), np.log(measured))[0, 1]
            ranks = np.corrcoef(_ranks(predicted), _ranks(measured))[0, 1]
            ratio = float(np.exp(np.mean(np.log(measured / predicted)))) if kind != "output" else None
            rows.append(
                [
                    model,
                    kind,
                    str(len(pairs)),
                    f"{pearson:.3f}",
                    f"{ranks:.3f}",
                    "" if ratio is None else f"{ratio:.2f}",
                ]
            )
    header = ["model", "prediction", "allocations", "correlation of logarithms", "of ranks", "measured / predicted"]
    return table(header, rows) if rows else NOTHING


def _pairs(records: Sequence[Record], model: str, kind: str) -> list[tuple[float, float]]:
    """Predicted and measured divergence of each different allocation."""
    found = {
        str(record["layers"]): (record["predicted"][kind], record["result"]["kl_divergence"])
        for record in records
        if record["key"][0] == model and kind in record["predicted"]
    }
    return list(found.values())


def _ranks(values: Any) -> Any:
    return np.argsort(np.argsort(values))
