# SPDX-License-Identifier: Apache-2.0
"""The limits of this machine: bytes read from memory and int8 multiply-accumulates per second, by threads.

    python benchmarks/roofline.py

A short C++ program, compiled for this machine when it is first needed ($CXX, else c++), measures both. The table also
shows how the read bandwidth depends on the size of what is read again and again: where it stops falling, caches no
longer help, and weights must be larger than that.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from statistics import median

import numpy as np

from edgeq_devices.tables import MIB, aligned_table

SOURCE = Path(__file__).with_name("roofline.cc")
SIZES = [16, 64, 256, 1024]  # MiB
REPETITIONS = 9


@cache
def library() -> ctypes.CDLL:
    """The compiled program; its file is gone as soon as it is loaded."""
    compiler = os.environ.get("CXX", "c++")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "libroofline.so"
        flags = ["-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-pthread", "-Wno-psabi"]
        subprocess.run([compiler, *flags, str(SOURCE), "-o", str(path)], check=True)
        loaded = ctypes.CDLL(str(path))
    loaded.roofline_int8.restype = ctypes.c_double
    loaded.roofline_matrix.restype = ctypes.c_double
    loaded.roofline_instruction.restype = ctypes.c_char_p
    return loaded


@cache
def buffer(megabytes: int, *, huge: bool = False) -> np.ndarray:
    """Memory that is really there, in pages of 4 KiB or as large as the system grants."""
    memory = mmap.mmap(-1, megabytes * MIB)
    memory.madvise(mmap.MADV_HUGEPAGE if huge else mmap.MADV_NOHUGEPAGE)
    array = np.frombuffer(memory, np.uint8)
    array[:] = 1
    return array


def read_once(threads: int, megabytes: int = SIZES[-1], *, huge: bool = False) -> float:
    """Bytes per second of reading a buffer; a small one is read again and again, a large one once."""
    data = buffer(SIZES[-1], huge=huge)
    pointer, size = ctypes.c_void_p(data.ctypes.data), ctypes.c_size_t(megabytes * MIB)
    rounds = max(1, 512 // megabytes)  # so that starting the threads does not count
    start = time.perf_counter()
    for _ in range(rounds):
        library().roofline_read(pointer, size, ctypes.c_size_t(threads))
    return rounds * megabytes * MIB / (time.perf_counter() - start)


def multiply_once(threads: int) -> float:
    """Multiply-accumulates per second of all threads together, during some 5 ms."""
    start = time.perf_counter()
    done: float = library().roofline_int8(ctypes.c_size_t(3_000_000), ctypes.c_size_t(threads))
    return threads * done / (time.perf_counter() - start)


def multiply_tiles_once(threads: int) -> float:
    """The same with the processor's matrix units (AMX); 0 where there are none."""
    start = time.perf_counter()
    done: float = library().roofline_matrix(ctypes.c_size_t(200_000), ctypes.c_size_t(threads))
    return threads * done / (time.perf_counter() - start)


def measured(task: Callable[[], float]) -> float:
    """Median of repetitions, after an untimed one."""
    task()
    return median(task() for _ in range(REPETITIONS))


def main() -> None:
    rows = []
    for threads in sorted({1, 2, len(os.sched_getaffinity(0))}):
        reads = [f"{measured(partial(read_once, threads, size)) / 1e9:.1f}" for size in SIZES]
        huge = f"{measured(partial(read_once, threads, huge=True)) / 1e9:.1f}"
        products = [measured(partial(task, threads)) / 1e9 for task in (multiply_once, multiply_tiles_once)]
        rows.append([str(threads), *reads, huge, *(f"{rate:.0f}" if rate else "" for rate in products)])
    headers = ["threads", *(f"read {size} MiB" for size in SIZES), f"huge pages {SIZES[-1]} MiB", "int8", "int8 matrix"]
    print(aligned_table(headers, rows), end="")
    instruction = library().roofline_instruction().decode()
    print(f"\nreads in GB/s; int8 in billions of multiply-accumulates per second ({instruction}); medians")


if __name__ == "__main__":
    main()
