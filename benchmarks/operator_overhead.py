# SPDX-License-Identifier: Apache-2.0
"""What a node costs beside its arithmetic: chains of 64x64 products of one token, edgeq's operators and built-in ones.

    python benchmarks/operator_overhead.py

The time of a long chain minus that of a short one, per node, so that what a run costs by itself drops out; medians of
interleaved repetitions.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from products import Case, open_session, write_chain

from edgeq_devices.tables import aligned_table

SIZE = 64
SHORT, LONG = 16, 272
CASES = [
    Case("MatMul", "fp32"),
    Case("MatMulNBits", "w4g32"),
    Case("edgeq", "w4g32"),
    Case("edgeq", "w4a32g32"),
    Case("edgeq", "w3g32-bcq"),
]


def sessions(directory: Path, case: Case, threads: int) -> tuple[ort.InferenceSession, ort.InferenceSession]:
    """The short and the long chain."""
    opened = []
    for layers in (SHORT, LONG):
        path = directory / f"{case.name} {layers}.onnx"
        if not path.exists():
            write_chain(path, case, (SIZE, SIZE), layers)
        opened.append(open_session(path, threads))
    return opened[0], opened[1]


def seconds(session: ort.InferenceSession, x: np.ndarray) -> float:
    """Of one run."""
    start = time.perf_counter()
    session.run(None, {"h0": x})
    return time.perf_counter() - start


def microseconds_per_node(directory: Path, threads: int, repetitions: int) -> list[float]:
    """Of each case."""
    x = np.ones((1, SIZE), np.float32)
    opened = [sessions(directory, case, threads) for case in CASES]
    times: list[list[float]] = [[] for _ in CASES]
    for _ in range(repetitions):
        for (short, long), samples in zip(opened, times, strict=True):
            seconds(short, x)
            samples.append(seconds(long, x) - seconds(short, x))
    return [1e6 * statistics.median(samples) / (LONG - SHORT) for samples in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgeq-benchmark-") as directory:
        columns = [microseconds_per_node(Path(directory), threads, arguments.repetitions) for threads in (1, 2)]
    rows = [[case.name, *(f"{value:.2f}" for value in values)] for case, *values in zip(CASES, *columns, strict=True)]
    print(aligned_table(["operator", "µs, 1 thread", "µs, 2 threads"], rows, text_columns=("operator",)), end="")
    print(f"\none token, {SIZE}x{SIZE}; onnxruntime {ort.__version__}; medians of {arguments.repetitions} repetitions")


if __name__ == "__main__":
    main()
