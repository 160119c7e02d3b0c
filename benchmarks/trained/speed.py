# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of the bundles: those of one scheme have the same graph, however their codes were found."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from edgeq_devices.profiling import Request, profile
from edgeq_devices.results import Report

PROMPT, GENERATED, REPETITIONS = 128, 64, 3


def measure_speed(bundles: Path, results: Path, select: str) -> None:
    """Profiles bundles one after the other on one thread; appends a line for each."""
    for bundle in sorted(bundles.iterdir()):
        if re.search(select, bundle.name):
            line = {"bundle": bundle.name, **_profile(bundle)}
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
