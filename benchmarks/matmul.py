# SPDX-License-Identifier: Apache-2.0
"""edgeq's matrix products beside ONNX Runtime's own: DintGemm, LutGemm, MatMulNBits, float32 MatMul.

Each operator multiplies through a chain of layers, K -> N -> K ..., whose weights together exceed the caches and lie in
a memory-mapped file. All operators run in turn in one process, several rounds; a figure is the median over the rounds.
`ratio` is the time of MatMulNBits at the same bits, group size and precision (at 4 bits where it has no such weights)
divided by the operator's. Precision `int8` means int8 activations, 8-bit tables and accuracy level 4; `float` means
float activations, 16-bit tables and accuracy level 0. With one thread, time is the processor time of that thread, so
that other load disturbs less.

    python benchmarks/matmul.py --tokens 1,128 --bits 4 --threads 1
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

import edgeq_ops
from edgeq.formats.bcq import BcqFormat, BcqTensor
from edgeq.formats.uniform import UniformFormat, UniformTensor

Array = NDArray[np.generic]
OPERATORS = ("DintGemm", "LutGemm", "MatMulNBits", "MatMul")


@dataclass(frozen=True)
class Case:
    """One row of the table, without tokens and threads."""

    operator: str
    bits: int
    group_size: int
    precision: str


@dataclass(frozen=True)
class Layer:
    """A product [tokens, K] -> [tokens, N]."""

    K: int
    N: int


def packed_uniform(layer: Layer, case: Case, rng: np.random.Generator) -> Array:
    """Random symmetric weights of about unit gain, in the uniform format."""
    form = UniformFormat(case.bits, case.group_size)
    codes = rng.integers(0, 2**case.bits, (layer.N, layer.K), dtype=np.uint8)
    scale = 1 / (layer.K**0.5 * 2 ** (case.bits - 1))
    return form.pack(UniformTensor(codes, np.full((layer.N, layer.K // case.group_size), scale, np.float16)))


def packed_bcq(layer: Layer, case: Case, rng: np.random.Generator) -> Array:
    """Random weights of about unit gain, in the bcq format."""
    form = BcqFormat(case.bits, case.group_size)
    codes = rng.integers(0, 2**case.bits, (layer.N, layer.K), dtype=np.uint8)
    groups = layer.K // case.group_size
    coefficients = np.full((layer.N, groups, case.bits), layer.K**-0.5 / case.bits, np.float16)
    return form.pack(BcqTensor(codes, coefficients, np.zeros((layer.N, groups), np.float16)))


def blockwise(layer: Layer, case: Case, rng: np.random.Generator) -> list[Array]:
    """Weights and scales as MatMulNBits wants them."""
    blocks = layer.K // case.group_size
    codes = rng.integers(0, 256, (layer.N, blocks, case.group_size * case.bits // 8), dtype=np.uint8)
    return [codes, np.full(layer.N * blocks, 1 / (layer.K**0.5 * 2 ** (case.bits - 1)), np.float32)]


def weights_of(layer: Layer, case: Case, rng: np.random.Generator) -> list[Array]:
    """The initializers of one layer."""
    if case.operator == "DintGemm":
        return [packed_uniform(layer, case, rng)]
    if case.operator == "LutGemm":
        return [packed_bcq(layer, case, rng)]
    if case.operator == "MatMulNBits":
        return blockwise(layer, case, rng)
    return [(rng.standard_normal((layer.K, layer.N), np.float32) * np.float32(layer.K**-0.5))]


def node_of(layer: Layer, case: Case, index: int, names: list[str]) -> onnx.NodeProto:
    """The node of one layer."""
    attributes: dict[str, int | str] = {}
    int8 = case.precision == "int8"
    if case.operator != "MatMul":
        attributes = {"K": layer.K, "N": layer.N, "bits": case.bits}
    if case.operator == "DintGemm":
        attributes |= {"group_size": case.group_size, "format": "uniform"}
        attributes |= {"has_zero_point": 0, "activation_bits": 8 if int8 else 32}
    elif case.operator == "LutGemm":
        attributes |= {"group_size": case.group_size, "table_bits": 8 if int8 else 16}
    elif case.operator == "MatMulNBits":
        attributes |= {"block_size": case.group_size, "accuracy_level": 4 if int8 else 0}
    domain = {"MatMul": "", "MatMulNBits": "com.microsoft"}.get(case.operator, "com.edgeq")
    return helper.make_node(case.operator, [f"h{index}", *names], [f"h{index + 1}"], domain=domain, **attributes)


def write_model(path: Path, case: Case, layers: list[Layer]) -> None:
    """Writes a chain of layers with external data."""
    rng = np.random.default_rng(0)
    nodes, initializers = [], []
    for index, layer in enumerate(layers):
        arrays = weights_of(layer, case, rng)
        names = [f"w{index}_{i}" for i in range(len(arrays))]
        initializers += [onnx.numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True)]
        nodes.append(node_of(layer, case, index, names))
    ends = [
        helper.make_tensor_value_info("h0", TensorProto.FLOAT, ["tokens", layers[0].K]),
        helper.make_tensor_value_info(f"h{len(layers)}", TensorProto.FLOAT, ["tokens", layers[-1].N]),
    ]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], initializers)
    opsets = [
        helper.make_opsetid(domain, version) for domain, version in (("", 20), ("com.edgeq", 1), ("com.microsoft", 1))
    ]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save_model(model, path, save_as_external_data=True, location=path.name + ".data", size_threshold=1024)


def chain(K: int, N: int, bits: int, megabytes: int) -> list[Layer]:
    """Alternating layers K -> N and N -> K of at least ``megabytes`` of weights."""
    count = -(-megabytes * 2**20 * 8 // (K * N * bits))
    return [Layer(K, N) if index % 2 == 0 else Layer(N, K) for index in range(count + count % 2)]


def open_session(path: Path, threads: int) -> ort.InferenceSession:
    """A session with ``threads`` intra-op threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    edgeq_ops.register(options)
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


Sessions = dict[Case, tuple[ort.InferenceSession, int]]


def measure(sessions: Sessions, tokens: int, K: int, rounds: int, threads: int) -> dict[Case, float]:
    """Median milliseconds per layer; the operators take turns."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    x = np.random.default_rng(1).standard_normal((tokens, K), np.float32)
    times: dict[Case, list[float]] = {case: [] for case in sessions}
    for _ in range(rounds):
        for case, (session, layers) in sessions.items():
            time.sleep(0.02)  # the idle threads of the session before stop spinning
            session.run(None, {"h0": x})
            start = clock()
            session.run(None, {"h0": x})
            times[case].append((clock() - start) * 1e3 / layers)
    return {case: statistics.median(values) for case, values in times.items()}


def has_weights(operator: str, bits: int, precision: str) -> bool:
    """Whether an operator has a kernel for these weights."""
    if operator == "LutGemm":
        return bits <= 4
    # At accuracy level 0, MatMulNBits unpacks 2- and 8-bit weights in every call, 100 times as slow as it multiplies.
    return operator != "MatMulNBits" or bits in ((2, 4, 8) if precision == "int8" else (4,))


def cases_of(bits: list[int], groups: list[int], precisions: list[str], operators: list[str]) -> list[Case]:
    """All rows of a table."""
    cases = [Case("MatMul", 32, 0, "float")] if "MatMul" in operators else []
    return cases + [
        Case(operator, bit, group, precision)
        for operator in operators
        for precision in precisions
        for bit in bits
        for group in groups
        if operator != "MatMul" and has_weights(operator, bit, precision)
    ]


def print_rows(times: dict[Case, float], tokens: int, threads: int, K: int, N: int) -> None:
    """The rows of one shape, number of tokens and of threads."""
    for case, milliseconds in times.items():
        bits = case.bits if has_weights("MatMulNBits", case.bits, case.precision) else 4
        reference = times.get(Case("MatMulNBits", bits, case.group_size, case.precision))
        ratio = f"{reference / milliseconds:.2f}" if reference else "-"
        rate = 2e-6 * tokens * K * N / milliseconds
        size = f"{K}x{N}"
        print(
            f"| {size} | {tokens} | {threads} | {case.operator} | {case.precision} | {case.bits} | {case.group_size} "
            f"| {milliseconds:.3f} | {rate:.0f} | {ratio} |",
            flush=True,
        )


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="4096x4096,2048x8192", help="KxN of the chain's layers")
    parser.add_argument("--tokens", type=numbers, default=[1, 16, 128])
    parser.add_argument("--bits", type=numbers, default=[2, 3, 4, 8])
    parser.add_argument("--groups", type=numbers, default=[32, 128], help="weights per scale")
    parser.add_argument("--precisions", type=lambda text: text.split(","), default=["int8", "float"])
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--operators", type=lambda text: text.split(","), default=list(OPERATORS))
    parser.add_argument("--megabytes", type=int, default=128, help="least weight of a chain")
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    isa = edgeq_ops.instruction_sets().selected
    print(f"ONNX Runtime {ort.__version__}, edgeq kernels: {isa}; median of {options.rounds} interleaved rounds")
    print("| KxN | tokens | threads | operator | precision | bits | group | ms per layer | GFLOP/s | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for shape in options.shapes.split(","):
        K, N = numbers(shape.replace("x", ","))
        with tempfile.TemporaryDirectory() as directory:
            chains = {}
            for index, case in enumerate(cases_of(options.bits, options.groups, options.precisions, options.operators)):
                layers = chain(K, N, case.bits, options.megabytes)
                path = Path(directory) / f"{index}.onnx"
                write_model(path, case, layers)
                chains[case] = path, len(layers)
            for threads in options.threads:
                sessions = {case: (open_session(path, threads), count) for case, (path, count) in chains.items()}
                for tokens in options.tokens:
                    print_rows(measure(sessions, tokens, K, options.rounds, threads), tokens, threads, K, N)


if __name__ == "__main__":
    main()
