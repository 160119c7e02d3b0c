# SPDX-License-Identifier: Apache-2.0
"""Rows of a matrix are quantized independently: chunks of them run on all threads and are put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from edgeq.formats import QuantizedTensor


def map_rows(rows: int, step: int, quantize: Callable[[slice], QuantizedTensor]) -> QuantizedTensor:
    """Quantizes ``step`` rows at a time on as many threads as PyTorch has.

    ``step`` must not depend on the number of threads: then the result does not either.
    """
    parts = [slice(first, min(first + step, rows)) for first in range(0, rows, step)]
    with worker_pool() as pool:
        return stack_rows(list(pool.map(quantize, parts)))


@contextmanager
def worker_pool() -> Iterator[ThreadPoolExecutor]:
    """As many workers as PyTorch has threads, one thread in each: chunks are too small to be worth splitting."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def stack_rows(parts: Sequence[QuantizedTensor]) -> QuantizedTensor:
    """Matrices of the same format, one below the other."""
    return _combine(parts, lambda arrays: np.concatenate(arrays, 0))


def choose_rows(chosen: NDArray[np.bool_], left: QuantizedTensor, right: QuantizedTensor) -> QuantizedTensor:
    """The rows of ``left`` where ``chosen`` bool ``[N]`` is set, else those of ``right``."""

    def choose(arrays: list[NDArray[np.generic]]) -> NDArray[np.generic]:
        return np.where(chosen.reshape(-1, *[1] * (arrays[0].ndim - 1)), *arrays)

    return _combine([left, right], choose)


def _combine(
    parts: Sequence[QuantizedTensor], combine: Callable[[list[NDArray[np.generic]]], NDArray[np.generic]]
) -> QuantizedTensor:
    """Combines the arrays of several matrices field by field; all arrays have a row per row of the matrix."""
    changes = {
        field.name: combine([getattr(part, field.name) for part in parts])
        for field in fields(parts[0])
        if getattr(parts[0], field.name) is not None
    }
    return replace(parts[0], **changes)  # type: ignore[arg-type]  # each field keeps its type
