# SPDX-License-Identifier: Apache-2.0
"""Decoders of compressed weights against the memory they save, and products whose weights stay compressed.

    make test-native && python benchmarks/decompression.py --build build/native --threads 1 2

The first table: bytes of 8-bit codes that one core decodes per second, for each codec and instruction set, beside the
read bandwidth of the same run; zstd and LZ4 (`pip install 'edgeq[bench]'`) decode the same codes. The second: time of a
product whose weights are raw, decoded at load, or decoded on use; repetitions of the three are interleaved.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import lz4.block
import numpy as np
import onnxruntime as ort
import zstandard
from onnx import TensorProto, helper, numpy_helper
from roofline import measured, read_once

import edgeq_ops
from edgeq.formats import UniformFormat, UniformTensor
from edgeq.formats.compression import compress
from edgeq_devices.tables import aligned_table

FORMAT = UniformFormat(8)
SPREAD = 2.93  # standard deviation of normal codes with an entropy of 3.6 bits
SHAPES = [(4096, 4096), (2048, 5632)]
WORKING_SET = 256 << 20  # bytes of raw weights that are multiplied by in turn
REPETITIONS = 9


def packed_weight(rows: int, columns: int) -> np.ndarray:
    """Normal codes and equal scales."""
    codes = np.random.default_rng(0).normal(128, SPREAD, (rows, columns))
    codes = np.clip(np.rint(codes), 0, 255).astype(np.uint8)
    return FORMAT.pack(UniformTensor(codes, np.full((rows, 1), 0.01, np.float16)))


def decoders(build: Path, rows: int, columns: int) -> list[list[str]]:
    """Codec, instruction set, stored bits per weight, and GB/s from the cache and from memory."""
    subprocess.run(["cmake", "--build", build, "--target", "decoder_throughput"], check=True, stdout=subprocess.DEVNULL)
    program, packed = next(build.rglob("decoder_throughput")), packed_weight(rows, columns)
    table = []
    with tempfile.TemporaryDirectory() as directory:
        for codec in ("rans", "nibble"):
            path, data = Path(directory) / codec, compress(packed, FORMAT, rows, columns, codec)
            data.tofile(path)
            command = [program, path, rows, columns, 8, 0, 0]
            run = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
            for line in run.stdout.splitlines():
                isa, *rates = line.split()
                bits = f"{8 * data.size / (rows * columns):.2f}"
                table.append([codec, isa, bits, *(f"{float(rate) / 1e9:.2f}" for rate in rates)])
    return table + general(packed)


def general(packed: np.ndarray) -> list[list[str]]:
    """The same for coders that know nothing of weights."""
    raw = packed.tobytes()
    zstd, fast = zstandard.ZstdCompressor(3).compress(raw), lz4.block.compress(raw, store_size=False)
    rows = []
    for name, data, decode in (
        ("zstd-3", zstd, zstandard.ZstdDecompressor().decompress),
        ("lz4", fast, partial(lz4.block.decompress, uncompressed_size=len(raw))),
    ):
        start = time.perf_counter()
        for _ in range(REPETITIONS):
            decode(data)
        rate = REPETITIONS * len(raw) / (time.perf_counter() - start) / 1e9
        rows.append([name, "", f"{8 * len(data) / len(raw):.2f}", "", f"{rate:.2f}"])
    return rows


def session(data: np.ndarray, shape: tuple[int, int], mode: str, threads: int) -> ort.InferenceSession:
    """Products with copies of one weight, together `WORKING_SET` large."""
    rows, columns = shape
    copies = WORKING_SET // (rows * columns)
    attributes = {"K": columns, "N": rows, "bits": 8, "group_size": 0, "has_zero_point": 0, "activation_bits": 8}
    nodes = [
        helper.make_node(
            "DintGemm",
            ["x", f"w{i}"],
            [f"y{i}"],
            domain="com.edgeq",
            format="uniform",
            weight_compression=mode,
            **attributes,
        )
        for i in range(copies)
    ]
    graph = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", columns])],
        [helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, None) for i in range(copies)],
        [numpy_helper.from_array(data, f"w{i}") for i in range(copies)],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.edgeq", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    edgeq_ops.register(options)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def products(shape: tuple[int, int], tokens: int, threads: int) -> list[list[str]]:
    """Shape, tokens, threads, form, microseconds of a product, and the time relative to raw weights."""
    packed = packed_weight(*shape)
    forms = {"raw": (packed, "")}
    for codec in ("rans", "nibble"):
        data = compress(packed, FORMAT, *shape, codec)
        forms |= {f"{codec}, load": (data, "load"), f"{codec}, use": (data, "use")}
    sessions = {name: session(data, shape, mode, threads) for name, (data, mode) in forms.items()}
    x = {"x": np.random.default_rng(0).standard_normal((tokens, shape[1]), np.float32)}
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for repetition in range(REPETITIONS + 1):
        for name, opened in sessions.items():
            start = time.perf_counter()
            opened.run(None, x)
            if repetition:
                times[name].append((time.perf_counter() - start) / (WORKING_SET // packed.size))
    where = [f"{shape[0]}x{shape[1]}", str(tokens), str(threads)]
    raw = times["raw"]
    return [
        [*where, name, f"{median(taken) * 1e6:.0f}", f"{median(t / r for t, r in zip(taken, raw, strict=True)):.2f}"]
        for name, taken in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--build", type=Path, default=Path("build/native"), help="a build directory of the kernels' tests"
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="of products")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 128])
    parser.add_argument("--only", choices=["decoders", "products"], help="one of the tables")
    arguments = parser.parse_args()
    if arguments.only != "products":
        headers = ["codec", "instruction set", "bits", "GB/s from cache", "GB/s from memory"]
        print(aligned_table(headers, decoders(arguments.build, 2048, 2048)))
        print(f"one thread reads {measured(partial(read_once, 1)) / 1e9:.1f} GB/s\n")
    if arguments.only != "decoders":
        headers = ["weight", "tokens", "threads", "form", "µs", "time / raw"]
        cases = [
            (shape, tokens, threads) for shape in SHAPES for tokens in arguments.tokens for threads in arguments.threads
        ]
        print(aligned_table(headers, [row for case in cases for row in products(*case)]), end="")


if __name__ == "__main__":
    main()
