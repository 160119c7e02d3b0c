# SPDX-License-Identifier: Apache-2.0
"""Scales that quantization-aware training found (`edgeq.training`): every weight becomes its nearest level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

from edgeq.errors import EdgeqError
from edgeq.formats import Format, UniformFormat, UniformTensor
from edgeq.methods.grids.uniform import UniformGrid
from edgeq.methods.options import MethodOptions

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics


@dataclass(frozen=True)
class Options(MethodOptions):
    """There is nothing to choose: all of it was trained."""


@dataclass(frozen=True)
class TrainedOptions(Options):
    """The quantizer of one layer.

    Attributes:
        scales: float16 ``[N, G]``.
        zero_points: uint8 ``[N, G]``, ``None`` for symmetric formats.
    """

    scales: Tensor
    zero_points: Tensor | None


def quantize(
    weight: Tensor, fmt: Format, statistics: LayerStatistics | None = None, options: Options | None = None
) -> UniformTensor:
    """Quantizes ``[N, K]`` with trained scales.

    Args:
        weight: The trained weights, float32.
        fmt: The number format.
        statistics: Not looked at.
        options: The layer's `TrainedOptions`.

    Raises:
        EdgeqError: There are no trained scales, or they do not fit the matrix.
    """
    if not isinstance(options, TrainedOptions) or not isinstance(fmt, UniformFormat):
        raise EdgeqError("no trained quantizer", field="--method", found="qat", wanted="a checkpoint of edgeq train")
    scales, groups = options.scales.float(), options.scales.shape[1]
    size = fmt.group_size or weight.shape[1]
    if scales.shape != (len(weight), -(-weight.shape[1] // size)) or (options.zero_points is None) != fmt.symmetric:
        raise EdgeqError("trained scales do not fit the layer", found=list(scales.shape), wanted=str(fmt))
    zeros = torch.full_like(scales, 2 ** (fmt.bits - 1)) if fmt.symmetric else _floats(options.zero_points)
    grid = UniformGrid.of(scales.reshape(-1, 1), zeros.reshape(-1, 1), 2**fmt.bits - 1)
    padded = pad(weight.float(), (0, groups * size - weight.shape[1]))
    codes = grid.round(padded.reshape(-1, size)).reshape(padded.shape)[:, : weight.shape[1]]
    stored = None if options.zero_points is None else options.zero_points.numpy()
    return UniformTensor(codes.contiguous().numpy(), options.scales.numpy(), stored)


def _floats(zero_points: Tensor | None) -> Tensor:
    assert zero_points is not None
    return zero_points.float()
