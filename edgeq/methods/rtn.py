# SPDX-License-Identifier: Apache-2.0
"""Round to nearest: a grid per group from the range of its weights, clipped where the error is smallest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, BcqTensor, CodebookFormat, Format, QuantizedTensor, UniformFormat, UniformTensor
from edgeq.formats.bcq import from_uniform
from edgeq.formats.layout import group_count
from edgeq.methods.gamma import Scope, Steps, search
from edgeq.methods.grids import Clip, GridOptions, assemble, fit_grid
from edgeq.methods.options import SolverOptions
from edgeq.methods.rows import map_rows

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

CHUNK = 1 << 18  # weights searched at a time: a working set that stays in the second-level cache


@dataclass(frozen=True)
class Options(SolverOptions):
    """Options of round to nearest.

    Attributes:
        gamma_scope: What shares the γ that ``gamma=auto`` finds: a group, a row (``channel``) or the whole matrix.
    """

    gamma_scope: Scope = "group"


def quantize(
    weight: Tensor,
    fmt: Format,
    statistics: LayerStatistics | None = None,
    options: Options | None = None,
    *,
    clip: Clip | None = None,
) -> QuantizedTensor:
    """Quantizes ``[N, K]`` by rounding to the nearest level.

    A binary-coded format receives the exact image of the asymmetric uniform weights of the same bits.

    Args:
        weight: Floating point ``[N, K]``.
        fmt: The number format.
        statistics: Inputs of the layer; errors are then weighted with the mean square of their channel.
        options: How the range of a group is chosen.
        clip: Short for those options.

    Raises:
        EdgeqError: A weight is not finite, or a group's scale does not fit float16.
    """
    options = options or Options(GridOptions(clip or "l3"))
    importance = None if statistics is None else statistics.diagonal.float()
    if isinstance(fmt, BcqFormat):
        return _image_of_uniform(weight, fmt, importance, options)
    if options.grid.gamma == "auto" and not isinstance(fmt, CodebookFormat):
        return search(weight, fmt, statistics, options.gamma_scope, lambda gamma: _with_gamma(weight, fmt, gamma))
    return round_groups(weight, fmt, importance, options.grid)


def round_groups(weight: Tensor, fmt: Format, importance: Tensor | None, options: GridOptions) -> QuantizedTensor:
    """Fits a grid to every group of every row and rounds to it.

    Args:
        weight: Floating point ``[N, K]``.
        fmt: The number format.
        importance: Weight of each squared error, float32 ``[K]`` or ``[N, K]``; by default all alike.
        options: How a grid is fitted.

    Raises:
        EdgeqError: As `fit_grid`.
    """
    rows, columns = weight.shape
    group_size = fmt.group_size or columns
    groups = group_count(columns, fmt.group_size)
    padded = groups * group_size
    shares = None if importance is None else _pad_zeros(importance, padded).expand(rows, padded)

    def round_rows(part: slice) -> QuantizedTensor:
        # Every group of every row becomes a row of its own, so that one grid serves them all.
        flat = _pad_columns(weight[part].float(), padded).reshape(-1, group_size)
        grid = fit_grid(fmt, flat, None if shares is None else shares[part].reshape(-1, group_size), options)
        codes = grid.round(flat).reshape(-1, padded)[:, :columns]
        return assemble(fmt, codes, [grid.select(slice(group, None, groups)) for group in range(groups)])

    return map_rows(rows, max(1, CHUNK // columns), round_rows)


def _with_gamma(weight: Tensor, fmt: Format, gamma: float) -> Steps:
    tensor = round_groups(weight, fmt, None, GridOptions(gamma=gamma))
    assert isinstance(tensor, Steps)
    return tensor


def nearest_levels(
    weight: Tensor, fmt: Format, importance: Tensor | None = None, options: GridOptions | None = None
) -> Tensor:
    """What `quantize` decodes to, float32 ``[N, K]``, without the way through codes; for searches.

    Args:
        weight: Floating point ``[N, K]``.
        fmt: The number format.
        importance: As for `round_groups`, float32 ``[K]``.
        options: How a grid is fitted.

    Raises:
        EdgeqError: As `quantize`.
    """
    rows, columns = weight.shape
    group_size = fmt.group_size or columns
    padded = group_count(columns, fmt.group_size) * group_size
    levels = UniformFormat(fmt.bits, fmt.group_size, symmetric=False) if isinstance(fmt, BcqFormat) else fmt
    flat = _pad_columns(weight.float(), padded).reshape(-1, group_size)
    shares = None if importance is None else _pad_zeros(importance, padded).expand(rows, padded).reshape(-1, group_size)
    grid = fit_grid(levels, flat, shares, options or GridOptions())
    return grid.nearest(flat).reshape(rows, padded)[:, :columns]


def _image_of_uniform(weight: Tensor, fmt: BcqFormat, importance: Tensor | None, options: Options) -> BcqTensor:
    if fmt.bits == 1:
        raise EdgeqError(
            "round to nearest has no 1-bit grid", field="format bcq", found="1 plane", wanted="2, 3 or 4 planes"
        )
    uniform = UniformFormat(fmt.bits, fmt.group_size, symmetric=False)
    tensor = round_groups(weight, uniform, importance, options.grid)
    assert isinstance(tensor, UniformTensor)
    return from_uniform(tensor, uniform)


def _pad_columns(weight: Tensor, columns: int) -> Tensor:
    """Repeats the last column, so that padding never widens the range of the last group by a zero it does not hold."""
    missing = columns - weight.shape[1]
    return torch.cat([weight, weight[:, -1:].expand(-1, missing)], 1) if missing else weight


def _pad_zeros(importance: Tensor, columns: int) -> Tensor:
    return torch.nn.functional.pad(importance, (0, columns - importance.shape[-1]))
