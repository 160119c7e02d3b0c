# SPDX-License-Identifier: Apache-2.0
"""Codebook weights by sensitivity-weighted k-means, each row or group by itself.

Source: SqueezeLLM (arXiv 2306.07629), section 4.1. Its sensitivities are the diagonal of the empirical Fisher
information; the mean squares of the inputs (the diagonal of XᵀX) can stand for them, which takes no backward pass.
Inside the GPTQ sweep the same tables come from ``--method gptq`` with a ``-codebook`` scheme.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import CodebookFormat, Format, QuantizedTensor
from edgeq.methods.grids.codebook import CodebookGridOptions
from edgeq.methods.options import SolverOptions
from edgeq.methods.rtn import round_groups

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics


@dataclass(frozen=True)
class Options(SolverOptions):
    """Options of codebook quantization.

    Attributes:
        importance: ``inputs``: mean squares of the inputs, where there is calibration; ``fisher``: the diagonal of the
            empirical Fisher information.
    """

    grid: CodebookGridOptions = field(default_factory=CodebookGridOptions)
    importance: Literal["inputs", "fisher"] = "inputs"

    @property
    def wants_fisher(self) -> bool:
        """As `MethodOptions.wants_fisher`."""
        return self.importance == "fisher"


def quantize(
    weight: Tensor, fmt: Format, statistics: LayerStatistics | None = None, options: Options | None = None
) -> QuantizedTensor:
    """Quantizes ``[N, K]`` to codes of the levels of a table.

    Args:
        weight: Floating point ``[N, K]``.
        fmt: A codebook format.
        statistics: Inputs of the layer; without them all errors weigh alike.
        options: Options of the method.

    Raises:
        EdgeqError: The format is another one, the Fisher information is wanted and absent, a weight is not finite, or a
            level does not fit the table.
    """
    if not isinstance(fmt, CodebookFormat):
        raise EdgeqError("codebook makes tables", field="--method", found=fmt.name, wanted="a -codebook scheme")
    options = options or Options()
    return round_groups(weight, fmt, _importance(weight, statistics, options), options.grid)


def _importance(weight: Tensor, statistics: LayerStatistics | None, options: Options) -> Tensor:
    if options.importance == "fisher":
        if statistics is None or statistics.fisher is None:
            raise EdgeqError("no Fisher information", field="codebook.importance", remedy="add --calibration FILE")
        return statistics.fisher
    return torch.ones(weight.shape[1]) if statistics is None else statistics.diagonal.float()
