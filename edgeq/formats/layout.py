# SPDX-License-Identifier: Apache-2.0
"""What all packed layouts share: padding, groups, and the assembly of tiles (docs/formats.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError

K_MULTIPLE = 32

Bytes = NDArray[np.uint8]
Halfs = NDArray[np.float16]
Floats = NDArray[np.float32]


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple of ``multiple`` that is not below ``value``."""
    return -(-value // multiple) * multiple


def check_group_size(group_size: int, scheme: str) -> None:
    """Checks a group size.

    Raises:
        EdgeqError: The group size is neither 0 (per channel) nor a positive multiple of 32.
    """
    if group_size < 0 or group_size % K_MULTIPLE:
        raise EdgeqError(
            "unsupported group size",
            field=scheme,
            found=group_size,
            wanted="a multiple of 32, or none for one scale per row",
        )


def group_count(columns: int, group_size: int) -> int:
    """Number of groups in a row of ``columns`` weights."""
    return -(-columns // group_size) if group_size else 1


def group_bounds(columns: int, group_size: int) -> Iterator[tuple[int, int]]:
    """Start and end of each group along the padded K."""
    padded = round_up(columns, K_MULTIPLE)
    step = group_size or padded
    for start in range(0, padded, step):
        yield start, min(start + step, padded)


def expand_groups(values: NDArray[Any], columns: int, group_size: int) -> NDArray[Any]:
    """Repeats per-group values ``[N, G]`` to one value per weight, ``[N, K]``."""
    return np.repeat(values, group_size, axis=1)[:, :columns] if group_size else np.repeat(values, columns, axis=1)


def pad(array: NDArray[Any], rows: int, columns: int | None = None) -> NDArray[Any]:
    """Zero-pads the first axis to ``rows`` and the second to ``columns``."""
    widths = [(0, rows - array.shape[0])] + [(0, 0)] * (array.ndim - 1)
    if columns is not None:
        widths[1] = (0, columns - array.shape[1])
    return np.pad(array, widths) if any(after for _, after in widths) else np.ascontiguousarray(array)


def check_size(data: Bytes, wanted: int, what: str) -> None:
    """Checks a packed tensor.

    Raises:
        EdgeqError: ``data`` is not a flat uint8 array of ``wanted`` bytes.
    """
    if data.dtype != np.uint8 or data.ndim != 1 or data.size != wanted:
        raise EdgeqError(
            "wrong size of packed weights",
            field=what,
            found=f"{data.dtype}{list(data.shape)}",
            wanted=f"uint8[{wanted}]",
        )
