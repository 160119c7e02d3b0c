# SPDX-License-Identifier: Apache-2.0
"""Bundles of one model in turns, each time in a new process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgeq.bundle.manifest import Manifest, read_manifest

WORKER = Path(__file__).with_name("worker.py")
MEDIANS = ("load_seconds", "prompt_tokens_per_second", "tokens_per_second", "anonymous", "file_backed")


def measure_bundles(
    bundles: Sequence[Path], prompt: int, generated: int, threads: int, rounds: int
) -> Iterator[dict[str, Any]]:
    """A result for each bundle: medians over the rounds."""
    samples: dict[Path, list[dict[str, Any]]] = {bundle: [] for bundle in bundles}
    for _ in range(rounds):
        for bundle in bundles:
            samples[bundle].append(run_worker(bundle, prompt, generated, threads))
    for bundle, runs in samples.items():
        medians = {name: statistics.median(run[name] for run in runs) for name in MEDIANS}
        spread = [run["tokens_per_second"] for run in runs]
        yield {
            "bundle": bundle.name,
            "model": read_manifest(bundle).source.name,
            "threads": threads,
            "prompt": prompt,
            "generated": generated,
            "rounds": rounds,
            **weight_bytes(read_manifest(bundle)),
            **medians,
            "range": [min(spread), max(spread)],
        }


def weight_bytes(manifest: Manifest) -> dict[str, Any]:
    """Bytes of all matrices: raw, stored, and in memory while the model runs; how many are in which form."""
    forms: dict[str, int] = {}
    for layer in manifest.layers:
        name = "raw" if layer.compression is None else f"{layer.compression.codec} {layer.compression.mode}"
        forms[name] = forms.get(name, 0) + 1
    in_memory = (
        layer.size if layer.compression is None or layer.compression.mode == "use" else layer.raw_size
        for layer in manifest.layers
    )
    return {
        "raw_bytes": sum(layer.raw_size for layer in manifest.layers),
        "stored_bytes": sum(layer.size for layer in manifest.layers),
        "memory_bytes": sum(in_memory),
        "forms": forms,
    }


def run_worker(bundle: Path, prompt: int, generated: int, threads: int, limit: int | None = None) -> dict[str, Any]:
    """What a worker prints; ``error`` where it ended without a result."""
    arguments = [str(bundle), str(prompt), str(generated), str(threads), *([str(limit)] if limit else [])]
    done = subprocess.run([sys.executable, str(WORKER), *arguments], capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if not lines:
        return {"error": (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1][:300]}
    result: dict[str, Any] = json.loads(lines[-1])
    return result
