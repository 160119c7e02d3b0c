# SPDX-License-Identifier: Apache-2.0
"""Time and memory of quantizing with calibration: per layer, per block, by threads.

    python benchmarks/calibration_cost.py CHECKPOINT --blocks 2 --samples 128 --length 512 --threads 1,2 --method gptq

Only the first blocks are quantized: all blocks of a decoder have the same shapes, so that the rest is a multiplication.
The tokens are random; the work does not depend on what they say. Every number of threads runs in a process of its own,
whose largest resident memory is reported; it includes what the libraries take.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from edgeq.calibration.data import CalibrationData
from edgeq.checkpoint import Checkpoint
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint
from edgeq.schemes import Scheme

LAYERS = logging.getLogger("edgeq.quantization.block")


@dataclass
class Cost:
    """What a run took.

    Attributes:
        seconds: In all.
        solver_seconds: Of the layers, by name.
        memory: Largest resident memory, bytes.
    """

    seconds: float = 0.0
    solver_seconds: dict[str, float] = field(default_factory=dict)
    memory: int = 0


class _LayerTimes(logging.Handler):
    """Collects the seconds per layer that the quantizer logs."""

    def __init__(self, cost: Cost) -> None:
        super().__init__()
        self._cost = cost

    def emit(self, record: logging.LogRecord) -> None:
        name, _, seconds, *_ = record.args  # type: ignore[misc]
        self._cost.solver_seconds[str(name)] = float(seconds)  # type: ignore[arg-type]


def first_blocks(checkpoint: Path, blocks: int, directory: Path) -> Path:
    """A checkpoint with fewer blocks; its weights are linked, not copied."""
    for file in checkpoint.iterdir():
        (directory / file.name).symlink_to(file.resolve())
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    (directory / "config.json").unlink()
    (directory / "config.json").write_text(json.dumps(config | {"num_hidden_layers": blocks}), encoding="utf-8")
    return directory


def measure(checkpoint: Path, options: argparse.Namespace, threads: int) -> Cost:
    """Quantizes in this process."""
    torch.set_num_threads(threads)
    cost = Cost()
    LAYERS.addHandler(_LayerTimes(cost))
    LAYERS.setLevel(logging.INFO)
    opened = Checkpoint(checkpoint)
    shape = options.samples, options.length
    ids = np.random.default_rng(0).integers(0, int(opened.config["vocab_size"]), shape)
    plan = Plan.build(Scheme.parse(options.scheme), method=options.method)
    start = time.perf_counter()
    quantize_checkpoint(opened, plan, calibration=Calibration(CalibrationData(ids, "random", 0)))
    cost.seconds = time.perf_counter() - start
    cost.memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return cost


def print_table(costs: dict[int, Cost], options: argparse.Namespace) -> None:
    """A row per layer, then the sums."""
    head = [f"{threads} thread{'s' if threads > 1 else ''}, s" for threads in costs]
    print(f"{options.checkpoint.name}, {options.blocks} blocks, {options.scheme}, {options.method}, ", end="")
    print(f"{options.samples} windows of {options.length} tokens")
    print("| layer | " + " | ".join(head) + " |\n|" + "---|" * (len(head) + 1))
    for name in next(iter(costs.values())).solver_seconds:
        print(f"| {name} | " + " | ".join(f"{cost.solver_seconds[name]:.2f}" for cost in costs.values()) + " |")
    rows = {
        "all layers": [f"{sum(cost.solver_seconds.values()):.1f}" for cost in costs.values()],
        "in all, with observing": [f"{cost.seconds:.1f}" for cost in costs.values()],
        "per block": [f"{cost.seconds / options.blocks:.1f}" for cost in costs.values()],
        "largest memory, GB": [f"{cost.memory / 1e9:.2f}" for cost in costs.values()],
    }
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(values) + " |")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--scheme", default="w4g128")
    parser.add_argument("--method", default="gptq")
    parser.add_argument("--threads", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2])
    return parser.parse_args()


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = first_blocks(options.checkpoint, options.blocks, Path(directory))
        costs = {}
        for threads in options.threads:
            with get_context("spawn").Pool(1) as pool:
                costs[threads] = pool.apply(measure, (checkpoint, options, threads))
    print_table(costs, options)


if __name__ == "__main__":
    main()
