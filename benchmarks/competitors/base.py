# SPDX-License-Identifier: Apache-2.0
"""What all of them offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class UnsuitableError(Exception):
    """A matrix has a shape that the type cannot hold."""


@dataclass(frozen=True)
class Quantizer:
    """One type of one tool.

    Attributes:
        tool: The tool's name.
        scheme: Its name of the type.
        method: How the type is filled; ``default`` or the tool's name of the algorithm.
        bits: Stored bits per weight of a ``[rows, columns]`` matrix, scales and offsets included; scales count 16 bits
            where the tool lets the user choose their width.
        quantize: ``(weight [N, K], XᵀX / tokens [K, K] or None) -> the weights that the stored form decodes to``;
            raises `UnsuitableError`.
        calibrated: Whether it reads XᵀX.
    """

    tool: str
    scheme: str
    method: str
    bits: Callable[[int, int], float]
    quantize: Callable[[Floats, NDArray[np.float64] | None], Floats]
    calibrated: bool = False


def per_group(bits: float, group_size: int, overhead: float) -> Callable[[int, int], float]:
    """Stored bits where every group of a row has ``overhead`` bits of scales and offsets."""

    def stored(_rows: int, columns: int) -> float:
        groups = -(-columns // group_size)
        return bits + overhead * groups / columns

    return stored
