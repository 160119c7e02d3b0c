# SPDX-License-Identifier: Apache-2.0
"""What one token costs in 8-bit and 4-bit weights with 8-bit activations: bytes, multiply-accumulates, time.

    python benchmarks/arithmetic.py
    python benchmarks/arithmetic.py --schemes w8a8t,w4a8t,w4a8t-dint --layers 22 --hidden 2048 --intermediate 5632

The paper of dINT (arXiv 2311.05161) claims half the area and power of an 8-bit multiplier for a 4-bit one. A CPU's
multipliers take 8 bits in either case, so that multiply-accumulates stay the same; what shrinks is the memory traffic.
The products of all linear layers of a decoder are timed, schemes in turns; attention, norms and the output head are
not.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from comparison import measure, open_chains
from products import Case, share_threads

from edgeq_devices.conditions import read_conditions
from edgeq_devices.tables import aligned_table

HEADERS = ["scheme", "MB/token", "int8 MAC/token", "codes looked up", "ms/token", "tokens/s", "time of the first"]


def shapes_of(given: argparse.Namespace) -> dict[tuple[int, int], int]:
    """K and N of a block's products, and how many there are: q and o, k and v, gate, up and down."""
    return {
        (given.hidden, given.hidden): 2,
        (given.hidden, given.key_value): 2,
        (given.hidden, given.intermediate): 3,
    }


def seconds_per_block(schemes: list[str], given: argparse.Namespace) -> list[float]:
    """Of each scheme, one token: medians, schemes in turns within each shape."""
    total = [0.0] * len(schemes)
    for shape, count in shapes_of(given).items():
        with tempfile.TemporaryDirectory(prefix="edgeq-benchmark-") as directory:
            chains = open_chains(Path(directory), [Case("edgeq", scheme) for scheme in schemes], shape)
            x = np.random.default_rng(1).standard_normal((1, shape[0]), np.float32)
            rows, _ = measure(chains, x, given.repetitions, given.threads)
        for index, row in enumerate(rows):
            total[index] += count * row.seconds
    return total


def table(given: argparse.Namespace) -> list[list[str]]:
    """One row for each scheme."""
    schemes = given.schemes.split(",")
    seconds = seconds_per_block(schemes, given)
    weights = sum(k * n * count for (k, n), count in shapes_of(given).items())
    rows = []
    for scheme, block in zip(schemes, seconds, strict=True):
        case = Case("edgeq", scheme)
        stored = sum(count * case.weight_bytes(n, k) for (k, n), count in shapes_of(given).items())
        time = given.layers * block
        looked_up = given.layers * weights if "-" in scheme else 0
        megabytes, millions = given.layers * stored / 1e6, given.layers * weights / 1e6
        cells = [f"{megabytes:.0f}", f"{millions:.0f} M", f"{looked_up / 1e6:.0f} M"]
        rows.append([scheme, *cells, f"{1e3 * time:.1f}", f"{1 / time:.1f}", f"{block / seconds[0]:.2f}"])
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemes", default="w8a8g128,w4a8g128,w4a8g128-dint,w4a8g128-dint0.25,w4a8g128-dint0.125")
    parser.add_argument("--layers", type=int, default=22, help="of TinyLlama 1.1B, as the following")
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--key-value", type=int, default=256)
    parser.add_argument("--intermediate", type=int, default=5632)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=9)
    given = parser.parse_args()
    conditions = read_conditions()
    share_threads(given.threads)
    print(aligned_table(HEADERS, table(given), text_columns=("scheme",)), end="")
    print(f"\n{conditions.cpu}, {given.threads} threads; load before {conditions.load_average}")


if __name__ == "__main__":
    main()
