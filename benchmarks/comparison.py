# SPDX-License-Identifier: Apache-2.0
"""What gemv.py and gemm.py share: which operators, measuring them in turns in one process, the table."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from products import SLAB, Case, open_session, share_threads, write_chain
from roofline import library, multiply_once, read_once

import edgeq_ops
from edgeq.cli.ranges import parse_numbers
from edgeq.errors import EdgeqError
from edgeq.schemes import Scheme
from edgeq_devices.conditions import read_conditions
from edgeq_devices.tables import MIB, aligned_table

SHAPES = "4096x4096,4096x11008,2048x8192,896x4864"
SCHEMES = (
    *(f"w{bits}" for bits in (2, 3, 4, 8)),
    *(f"w{bits}-bcq" for bits in (2, 3, 4)),
    *(f"w{bits}-dint" for bits in (3, 4)),
    *(f"w4-dint{part}" for part in ("0.25", "0.125")),
    *(f"w{bits}-codebook" for bits in (2, 3, 4)),
)
STOCK_BITS = (2, 4, 8)  # at accuracy level 4; other configurations of MatMulNBits unpack all weights in every call
PAUSE = 0.2  # seconds until idle threads of ONNX Runtime stop spinning, which would slow the limits down
CACHE_MEGABYTES = 512  # measured: re-reading 256 MiB is as slow as 1 GiB where this was written (roofline.py shows it)


@dataclass
class Chain:
    """A case's model of some layers, open.

    Attributes:
        case: Which operator.
        session: On the model.
        weight_bytes: Bytes of all its layers.
        layers: How many.
    """

    case: Case
    session: ort.InferenceSession
    weight_bytes: int
    layers: int


@dataclass(frozen=True)
class Limits:
    """What the machine could do meanwhile.

    Attributes:
        read: Bytes per second from memory, in pages of 4 KiB.
        int8: Multiply-accumulates per second.
    """

    read: float
    int8: float


@dataclass(frozen=True)
class Row:
    """A measured case: seconds per layer, and bytes of weights per layer."""

    case: Case
    seconds: float
    weight_bytes: float


def with_group(scheme: str, group: int) -> str:
    """``w4-dint`` with groups of 128 is ``w4g128-dint``."""
    bits, _, form = scheme.partition("-")
    return bits + (f"g{group}" if group else "") + (f"-{form}" if form else "")


def cases_of(schemes: Sequence[str], groups: Sequence[int]) -> list[Case]:
    """The operators to compare; schemes that this edgeq does not have are left out, and named on stderr."""
    cases = [Case("MatMul", "fp32")]
    for group in groups:
        for scheme in schemes:
            case = Case("edgeq", with_group(scheme, group))
            if exists(case):
                cases.append(case)
        if group:
            cases += [Case("MatMulNBits", f"w{bits}g{group}") for bits in STOCK_BITS]
            cases.append(Case("MatMulNBits", f"w2g{group}", lookup=True))
    return cases


def exists(case: Case) -> bool:
    """Whether edgeq has an operator for it."""
    try:
        scheme = Scheme.parse(case.scheme)
        from edgeq.quantization.operators import matmul_operator

        assert scheme.weights is not None
        matmul_operator(scheme.weights, SLAB, SLAB, scheme.activation_bits)
    except EdgeqError as error:
        print(f"left out: {error}", file=sys.stderr)
        return False
    return True


def layer_count(case: Case, shape: tuple[int, int], cases: int) -> int:
    """An even number of layers whose weights, with those of the other cases in a round, exceed the caches."""
    least = CACHE_MEGABYTES * MIB / cases
    count = int(-(-least // case.weight_bytes(shape[1], shape[0])))
    return max(2, count + count % 2)


def open_chains(directory: Path, cases: Sequence[Case], shape: tuple[int, int]) -> list[Chain]:
    """Writes and opens a model for each case."""
    chains = []
    for index, case in enumerate(cases):
        layers = layer_count(case, shape, len(cases))
        path = directory / f"{shape[0]}x{shape[1]}.{index}.onnx"
        write_chain(path, case, shape, layers)
        size = Path(f"{path}.data").stat().st_size
        chains.append(Chain(case, open_session(path, None, lookup=case.lookup), size, layers))
    return chains


def measure(chains: Sequence[Chain], x: np.ndarray, repetitions: int, threads: int) -> tuple[list[Row], Limits]:
    """Medians of repetitions; within each, the operators and the measuring of the limits take turns."""
    times: list[list[float]] = [[] for _ in chains]
    reads, products = [], []
    for repetition in range(repetitions + 1):
        time.sleep(PAUSE)
        reads.append(read_once(threads))
        products.append(multiply_once(threads))
        for chain, samples in zip(chains, times, strict=True):
            start = time.perf_counter()
            chain.session.run(None, {"h0": x})
            if repetition:  # the first is untimed
                samples.append((time.perf_counter() - start) / chain.layers)
    rows = [
        Row(chain.case, statistics.median(samples), chain.weight_bytes / chain.layers)
        for chain, samples in zip(chains, times, strict=True)
    ]
    return rows, Limits(statistics.median(reads[1:]), statistics.median(products[1:]))


def rivals(row: Row, rows: Sequence[Row]) -> tuple[float | None, float | None]:
    """Times of fp32 MatMul and of the best MatMulNBits over the row's.

    The best one has the same bits (4 for 3 bits) and block size (128 for per channel).
    """
    fmt = row.case.format
    full = next((other.seconds / row.seconds for other in rows if other.case.operator == "MatMul"), None)
    if fmt is None:
        return full, None
    bits, group = (4 if fmt.bits == 3 else fmt.bits), fmt.group_size or 128
    same = [
        other.seconds for other in rows if other.case.scheme == f"w{bits}g{group}" and other.case.operator != "edgeq"
    ]
    return full, min(same) / row.seconds if same else None


def tables(
    arguments: argparse.Namespace, tokens: Sequence[int], share: Callable[[Row, Limits, float], float]
) -> Iterator[list[str]]:
    """Measures everything; rows of the table.

    Args:
        arguments: Of `parse_arguments`.
        tokens: Numbers of tokens.
        share: Fraction of the machine's limit that a row reaches, given its multiply-accumulates.
    """
    cases = cases_of(arguments.schemes, arguments.groups)
    share_threads(arguments.threads)
    for shape in arguments.shapes:
        with tempfile.TemporaryDirectory(prefix="edgeq-benchmark-") as directory:
            chains = open_chains(Path(directory), cases, shape)
            for count in tokens:
                x = np.random.default_rng(1).standard_normal((count, shape[0]), np.float32)
                rows, limits = measure(chains, x, arguments.repetitions, arguments.threads)
                start = [f"{shape[0]}x{shape[1]}", str(count), str(arguments.threads)]
                products = count * shape[0] * shape[1]
                for row in rows:
                    yield start + cells(row, rows, products, share(row, limits, products))
                yield start + limit_cells(limits)
                print(f"{shape[0]}x{shape[1]}, {count} tokens: done", file=sys.stderr)


def cells(row: Row, rows: Sequence[Row], products: float, limit: float) -> list[str]:
    """One line, from the operator's name on."""
    full, stock = rivals(row, rows)
    return [
        row.case.name,
        f"{1e6 * row.seconds:.0f}",
        f"{row.weight_bytes / row.seconds / 1e9:.1f}",
        f"{2 * products / row.seconds / 1e9:.0f}",
        f"{100 * limit:.0f} %",
        "" if full is None else f"{full:.2f}",
        "" if stock is None else f"{stock:.2f}",
    ]


def limit_cells(limits: Limits) -> list[str]:
    """The line of the machine's limits."""
    return ["limit", "", f"{limits.read / 1e9:.1f}", f"{2 * limits.int8 / 1e9:.0f}", "", "", ""]


HEADERS = ["KxN", "tokens", "threads", "operator", "µs", "GB/s", "GOP/s", "of limit", "fp32/this", "NBits/this"]


def parse_arguments(description: str | None, tokens: str, quick: Sequence[str]) -> argparse.Namespace:
    """Options of both benchmarks; ``--quick`` stands for the options ``quick``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=SHAPES, help="KxN of the layers")
    parser.add_argument("--tokens", default=tokens)
    parser.add_argument("--schemes", default=",".join(SCHEMES), help="scheme strings without groups")
    parser.add_argument("--groups", default="32,64,128,0", help="weights per scale; 0: per channel")
    parser.add_argument("--threads", type=int, default=1, help="that all operators share")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help=f"a selection in less than 40 s: {' '.join(quick)}")
    given = parser.parse_args()
    if given.quick:
        given = parser.parse_args([*quick, *(argument for argument in sys.argv[1:] if argument != "--quick")])
    for name in ("tokens", "groups"):
        setattr(given, name, parse_numbers(getattr(given, name), f"--{name}"))
    given.shapes = [tuple(map(int, shape.split("x"))) for shape in given.shapes.split(",")]
    given.schemes = given.schemes.split(",")
    return given


def print_report(arguments: argparse.Namespace, share: Callable[[Row, Limits, float], float]) -> None:
    """Measures, prints the table and its conditions."""
    conditions, kernels = read_conditions(), edgeq_ops.instruction_sets().selected
    rows = list(tables(arguments, arguments.tokens, share))
    print(aligned_table(HEADERS, rows, text_columns=("operator",)), end="")
    instruction = library().roofline_instruction().decode()
    print(
        f"\n{conditions.cpu}, {conditions.processors} processors; load before {conditions.load_average}; "
        f"onnxruntime {ort.__version__}, kernels {kernels}, int8 limit: {instruction}; "
        f"medians of {arguments.repetitions} repetitions in turns"
    )
