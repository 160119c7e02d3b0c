# SPDX-License-Identifier: Apache-2.0
"""BCQ: binary-coded weights by greedy and alternating least squares, each group by itself.

Source: LUT-GEMM (arXiv 2206.09557), section 3.1. With calibration the squared errors are weighted with the mean squares
of their inputs; in the paper the importance is a power of the weight's magnitude. Inside the GPTQ sweep (HLQ-GPTQ of
ELUTQ) the same grids come from ``--method gptq`` with a ``-bcq`` scheme.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, Format, QuantizedTensor
from edgeq.methods.grids.bcq import BcqGridOptions
from edgeq.methods.options import SolverOptions
from edgeq.methods.rtn import round_groups

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics


@dataclass(frozen=True)
class Options(SolverOptions):
    """Options of BCQ."""

    grid: BcqGridOptions = field(default_factory=BcqGridOptions)


def quantize(
    weight: Tensor, fmt: Format, statistics: LayerStatistics | None = None, options: Options | None = None
) -> QuantizedTensor:
    """Quantizes ``[N, K]`` to binary-coded weights.

    Args:
        weight: Floating point ``[N, K]``.
        fmt: A binary-coded format.
        statistics: Inputs of the layer; without them all errors weigh alike.
        options: Options of the method.

    Raises:
        EdgeqError: The format is another one, a weight is not finite, or a coefficient does not fit float16.
    """
    if not isinstance(fmt, BcqFormat):
        raise EdgeqError("bcq makes binary-coded weights", field="--method", found=fmt.name, wanted="a -bcq scheme")
    importance = torch.ones(weight.shape[1]) if statistics is None else statistics.diagonal.float()
    return round_groups(weight, fmt, importance, (options or Options()).grid)
