# SPDX-License-Identifier: Apache-2.0
"""The levels that the weights of a group may take in each number format, fitted to given weights.

A format's module has ``fit(weights, fmt, importance, options)`` and ``assemble(fmt, codes, grids)`` and its inverse
``restore(fmt, tensor)``; solvers reach them through the functions here and so work with every format.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, cast

from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import Format, QuantizedTensor
from edgeq.methods.grids import bcq, codebook, dint, uniform
from edgeq.methods.grids.base import Clip, Grid, GridOptions

__all__ = ["Clip", "Grid", "GridOptions", "assemble", "fit_grid", "restore"]

_MODULES: dict[str, ModuleType] = {"uniform": uniform, "bcq": bcq, "codebook": codebook, "dint": dint}
_EQUAL_STEPS = ("uniform", "dint")


def fit_grid(fmt: Format, weights: Tensor, importance: Tensor | None = None, options: Any = None) -> Grid:
    """Fits one grid to each row of a group.

    Args:
        fmt: The number format.
        weights: float32 ``[N, g]``.
        importance: Weight of each squared error, float32 ``[g]`` or ``[N, g]``, such as the diagonal of XᵀX.
        options: `GridOptions`, or the format's own extension of them.

    Raises:
        EdgeqError: A weight is not finite, a scale does not fit float16, or the format has no grid.
    """
    options = options or GridOptions()
    if options.gamma is not None and fmt.name not in _EQUAL_STEPS:
        raise EdgeqError("no steps for γ to scale", field="gamma", found=fmt.name, wanted=" or ".join(_EQUAL_STEPS))
    return cast("Grid", _module(fmt).fit(weights, fmt, importance, options))


def assemble(fmt: Format, codes: Tensor, grids: Sequence[Grid]) -> QuantizedTensor:
    """The matrix of codes uint8 ``[N, K]`` and one grid per group of columns, in order."""
    return cast("QuantizedTensor", _module(fmt).assemble(fmt, codes, grids))


def restore(fmt: Format, tensor: QuantizedTensor) -> list[Grid]:
    """The grids that a matrix was assembled from, one per group of columns."""
    return cast("list[Grid]", _module(fmt).restore(fmt, tensor))


def _module(fmt: Format) -> ModuleType:
    if fmt.name not in _MODULES:
        raise EdgeqError("no grid for this format", field=f"format {fmt.name}", wanted=" or ".join(_MODULES))
    return _MODULES[fmt.name]
