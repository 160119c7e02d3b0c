# SPDX-License-Identifier: Apache-2.0
"""Coders on one large matrix of a known distribution: bits per weight, and gigabytes decoded per second on one core."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import lz4.block
import numpy as np
import torch
import zstandard

from edgeq.formats import UniformFormat
from edgeq.formats.compression import check_format
from edgeq.formats.compression.geometry import Geometry
from edgeq.methods import ecsq
from edgeq.quantization.linear import PackedWeight
from evidence.double.sizes import GENERAL, coded_sizes

RATES = (8.0, 4.6, 3.6, 2.6)  # stored bits asked for; 8: steps as fine as they get
DEGREES = 5.0  # of freedom; tails as heavy as those of trained matrices
REPEATS = 3


def measure_codecs(rows: int, columns: int) -> Iterator[dict[str, Any]]:
    """A result for each distribution and rate."""
    fmt = UniformFormat(8)
    torch.manual_seed(0)
    student = torch.distributions.StudentT(DEGREES)  # type: ignore[no-untyped-call]
    for name, weight in {
        "Gaussian": torch.randn(rows, columns),
        f"Student-t{DEGREES:g}": student.sample((rows, columns)),
    }.items():
        for bits in RATES:
            tensor = ecsq.quantize(weight, fmt, None, ecsq.Options(bits=bits))
            packed = PackedWeight(torch.from_numpy(fmt.pack(tensor)), fmt, rows, columns)  # type: ignore[arg-type]
            error = torch.from_numpy(fmt.decode(tensor)) - weight  # type: ignore[arg-type]
            yield {
                "distribution": name,
                "shape": [rows, columns],
                "asked": bits,
                "relative_error": float(error.square().mean() / weight.square().mean()),
                "bits": {coder: 8 * size / (rows * columns) for coder, size in coded_sizes(packed).items()},
                "decoded_bytes_per_second": _speeds(packed),
            }


def _speeds(weight: PackedWeight) -> dict[str, float]:
    """Bytes of packed weights per second out of the general coders, on one thread."""
    geometry = Geometry.of(check_format(weight.format, "rans"), weight.rows, weight.columns)
    codes = geometry.split(weight.data.numpy())[0].tobytes()
    decoders: dict[str, Callable[[bytes], bytes]] = {
        "zstd-3": lambda data: zstandard.ZstdDecompressor().decompress(data),
        "zstd-19": lambda data: zstandard.ZstdDecompressor().decompress(data),
        "lz4": lambda data: lz4.block.decompress(data, uncompressed_size=len(codes)),
    }
    return {name: _best(decode, GENERAL[name](codes), len(codes)) for name, decode in decoders.items()}


def _best(decode: Callable[[bytes], bytes], data: bytes, size: int) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        decode(data)
        times.append(time.perf_counter() - start)
    return size / float(np.min(times))
