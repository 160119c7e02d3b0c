# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of the bundles: those of one scheme have the same graph, however their codes were found."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgeq.exporting import export
from edgeq_devices.profiling import Request, profile
from edgeq_devices.rows import Report
from trained.variants import SCHEMES

PROMPT, GENERATED, REPETITIONS = 128, 64, 3


def measure_speed(name: str, checkpoint: Path, results: Path) -> None:
    """Profiles the bundles of a model on one thread; appends a line for each scheme."""
    for scheme in ("fp32", *SCHEMES.values()):
        with tempfile.TemporaryDirectory() as directory:
            export(checkpoint, Path(directory) / "bundle", scheme=scheme)
            line = {"bundle": f"{name}, {scheme}", **_profile(Path(directory) / "bundle")}
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(line, file=sys.stderr, flush=True)


def _profile(bundle: Path) -> dict[str, Any]:
    reports: list[Report] = []
    request = Request(bundle, (PROMPT,), (GENERATED,), threads=(1,), repetitions=REPETITIONS)
    profile(request, lambda stage, done, total: None, reports.append)
    prompt, generation = reports[-1].measurements
    energy = generation.energy
    return {
        "prompt": prompt.rate.mean,
        "generation": generation.rate.mean,
        "memory": generation.memory_peak.anonymous,
        "energy": "no sensor" if energy is None else f"{1000 * (energy.token_joules or 0):.2f} mJ/token",
        "flags": generation.flags,
    }
