# SPDX-License-Identifier: Apache-2.0
"""Bundles whose layers were chosen by measurement, and what was predicted of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgeq_export.compression.bundles import open_graph, write_compressed
from edgeq_export.compression.choosing import Choice, choose, measure_forms

CODECS = ("rans", "nibble")


def write_plans(
    bundle: Path, output: Path, budgets: Sequence[float], slowdowns: Sequence[float], threads: int
) -> Iterator[dict[str, Any]]:
    """Measures once, then solves and writes a bundle for each limit.

    Args:
        bundle: A bundle with raw weights.
        output: Directory of the new bundles.
        budgets: Memory over that of the raw tensors.
        slowdowns: Times over those of raw weights.
        threads: Threads of a session.
    """
    graph = open_graph(bundle)
    forms = measure_forms(graph, CODECS, threads)
    raw = choose(graph, CODECS, max_slowdown=1e6, forms=forms).raw_memory
    limits: dict[str, dict[str, Any]] = {f"memory-{share:g}": {"max_memory": int(share * raw)} for share in budgets}
    limits |= {f"slowdown-{factor:g}": {"max_slowdown": factor} for factor in slowdowns}
    output.mkdir(parents=True, exist_ok=True)
    for name, limit in limits.items():
        choice = choose(graph, CODECS, **limit, forms=forms)
        write_compressed(open_graph(bundle), output / name, choice.storages, force=True)
        yield {"bundle": name, "threads": threads, "limit": limit, **_predictions(choice)}


def _predictions(choice: Choice) -> dict[str, Any]:
    return {
        "memory": choice.memory,
        "raw_memory": choice.raw_memory,
        "seconds": choice.plan.seconds,
        "raw_seconds": choice.raw_seconds,
        "storage_bandwidth": choice.bandwidth,
        "forms": dict(Counter(form.name for form in choice.plan.forms)),
        "bytes_per_second": {name: _speed(choice, name) for name in ("raw", *CODECS)},
    }


def _speed(choice: Choice, name: str) -> float | None:
    """Raw bytes per second of the units that have a form; ``None`` where none has."""
    own = [(forms[0].memory, form.seconds) for forms in choice.forms for form in forms if form.name == name]
    return sum(memory for memory, _ in own) / sum(seconds for _, seconds in own) if own else None
