# SPDX-License-Identifier: Apache-2.0
"""Memory and time of an export, size of its weights against the arithmetic minimum, and the cost of loading the bundle.

    python benchmarks/export_memory.py CHECKPOINT -o OUT --scheme w4g128

The export runs in a process of its own, whose anonymous memory is sampled; so does the loading.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq.bundle.manifest import LayerRecord, Manifest, read_manifest
from edgeq.formats import BcqFormat, Format
from edgeq.schemes import Scheme
from edgeq_devices.memory import Memory, PeakSampler
from edgeq_devices.tables import MIB, aligned_table

LOAD = """
import json, sys, time
import onnxruntime, edgeq.runtime.loading
from edgeq_devices.memory import read_memory
before, start = read_memory(), time.perf_counter()
model = edgeq.load(sys.argv[1], threads=2, verify=sys.argv[2] == "verify")
seconds = time.perf_counter() - start
print(json.dumps([seconds, read_memory().anonymous - before.anonymous]))
"""


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds on the clock and of processors, and its memory peaks."""

    seconds: float
    processor_seconds: float
    peak: Memory


def run_sampled(command: Sequence[str]) -> Cost:
    """Runs a command."""
    start, before = time.perf_counter(), os.times()
    with subprocess.Popen(command) as process, PeakSampler(process.pid) as sampler:
        code = process.wait()
    if code or sampler.peak is None:
        raise SystemExit(f"{' '.join(command)}: exit code {code}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.perf_counter() - start, used, sampler.peak)


def minimum_bytes(layer: LayerRecord) -> float:
    """Codes and group parameters of a matrix without any padding; float32 where it was kept."""
    weights = Scheme.parse(layer.scheme).weights
    if weights is None:
        return 4.0 * layer.rows * layer.columns
    groups = -(-layer.columns // weights.group_size) if weights.group_size else 1
    return layer.rows * (layer.columns * weights.bits / 8 + groups * group_bytes(weights))


def group_bytes(weights: Format) -> int:
    """Bytes of a group beside its codes, per row."""
    if isinstance(weights, BcqFormat):
        return 2 * (weights.bits + 1)  # a coefficient per plane and an offset, float16
    return 2 if weights.symmetric else 3  # a float16 scale and a uint8 zero point


def load(bundle: Path, *, verify: bool) -> tuple[float, int]:
    """Seconds and added anonymous bytes of ``edgeq.load`` in a fresh process."""
    command = [sys.executable, "-c", LOAD, str(bundle), "verify" if verify else "trust"]
    seconds, added = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return seconds, added


def data_bytes(bundle: Path, manifest: Manifest) -> int:
    """Size of the external weights."""
    return (bundle / f"{manifest.model}.data").stat().st_size


def measure(arguments: argparse.Namespace) -> list[list[str]]:
    """Exports and loads; the rows of the table."""
    shutil.rmtree(arguments.output, ignore_errors=True)
    command = [sys.executable, "-m", "edgeq.cli.app", "export", str(arguments.checkpoint)]
    cost = run_sampled([*command, "--scheme", arguments.scheme, "-o", str(arguments.output)])
    manifest = read_manifest(arguments.output)
    size, minimum = data_bytes(arguments.output, manifest), sum(map(minimum_bytes, manifest.layers))
    trusted, verified = load(arguments.output, verify=False), load(arguments.output, verify=True)
    return [
        ["export, time", f"{cost.seconds:.0f} s"],
        ["export, processor time", f"{cost.processor_seconds:.0f} s"],
        ["export, peak anonymous memory", f"{cost.peak.anonymous / MIB:.0f} MiB"],
        ["export, peak resident memory", f"{cost.peak.peak / MIB:.0f} MiB"],
        ["data file", f"{size / MIB:.1f} MiB"],
        ["arithmetic minimum of the matrices", f"{minimum / MIB:.1f} MiB"],
        ["data file above the minimum", f"{100 * (size / minimum - 1):.2f} %"],
        ["load", f"{trusted[0]:.2f} s, {trusted[1] / MIB:.0f} MiB anonymous"],
        ["load, comparing hashes", f"{verified[0]:.2f} s, {verified[1] / MIB:.0f} MiB anonymous"],
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="bundle to write; replaced if it exists")
    parser.add_argument("--scheme", default="w4g128")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    headers = [f"{arguments.checkpoint.name} {arguments.scheme}", "measured"]
    print(aligned_table(headers, measure(arguments), text_columns=headers[:1]), end="")


if __name__ == "__main__":
    main()
