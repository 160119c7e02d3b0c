# SPDX-License-Identifier: Apache-2.0
"""Pruning of codes by |w|·‖x‖∞, row by row, as far as it pays in bits.

Double compression (arXiv 2502.15443) prunes quantized weights by the ℓ∞ norm of the activations, to make zeros that an
entropy coder stores in next to nothing; its threshold is not public. Here all rows of a layer are pruned to the same
ratio of zeros, which rises while a bit that is saved costs less output error than coarser steps would: at high rates
the error D of uniform codes falls by 2 ln 2 · D per bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from edgeq.compression.entropy import entropy
from edgeq.errors import EdgeqError
from edgeq.formats import Format, QuantizedTensor, UniformTensor
from edgeq.methods.option_types import Fraction, NotNegative
from edgeq.methods.options import MethodOptions
from edgeq.methods.steps import check_format, code_counts

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

PRICE = 2 * math.log(2)  # of a bit per weight, in output errors
STRIDE = 0.01  # of the ratios tried


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of pruning.

    Attributes:
        ratio: Least ratio of zeros in each row; ``auto``: as far as it pays.
        price: Output error that a saved bit per weight may cost, in units of what coarser steps cost.
        error: Most that the output error may grow, as a fraction; with ``auto``.
    """

    ratio: Fraction | Literal["auto"] = "auto"
    price: NotNegative = 1.0
    error: NotNegative = 1.0


def refine(
    tensor: QuantizedTensor,
    fmt: Format,
    target: Tensor,
    statistics: LayerStatistics | None,
    options: Options | None = None,
) -> QuantizedTensor:
    """The matrix with more codes that decode to zero.

    Args:
        tensor: The quantized matrix, symmetric uniform.
        fmt: Its format.
        target: The original weights, ``[N, K]``.
        statistics: Inputs of the layer.
        options: Options of the method.

    Raises:
        EdgeqError: There are no statistics, the format has no code for zero, or the ratio is not in [0, 1].
    """
    options = options or Options()
    uniform = check_format(fmt)
    if statistics is None:
        raise EdgeqError("pruning needs calibration", remedy="add --calibration FILE")
    if options.ratio != "auto" and not 0 <= options.ratio <= 1:
        raise EdgeqError("wrong ratio of zeros", field="prune.ratio", found=options.ratio, wanted="0 to 1, or auto")
    assert isinstance(tensor, UniformTensor)
    zero = 2 ** (uniform.bits - 1)
    codes, decoded = torch.from_numpy(tensor.codes), torch.from_numpy(uniform.decode(tensor))
    ranks = prune_order(decoded, statistics.absmax)
    if options.ratio == "auto":
        gram = statistics.gram.float()
        cut = _paying_cut(codes, decoded, ranks, target.float(), gram, zero, options)
    else:
        cut = round(options.ratio * codes.shape[1])
    return replace(tensor, codes=_pruned(codes, ranks, cut, zero).numpy())


def prune_order(weight: Tensor, absmax: Tensor) -> Tensor:
    """Place of each weight in its row by rising |w|·‖x‖∞, int64 ``[N, K]``; weights that are zero come first."""
    order: Tensor = (weight.abs() * absmax).argsort(stable=True, dim=1).argsort(dim=1)
    return order


def _pruned(codes: Tensor, ranks: Tensor, cut: int, zero: int) -> Tensor:
    return torch.where(ranks < cut, torch.tensor(zero, dtype=codes.dtype), codes)


def _paying_cut(
    codes: Tensor, decoded: Tensor, ranks: Tensor, target: Tensor, gram: Tensor, zero: int, options: Options
) -> int:
    """How many weights of each row to zero: the last cut before a further one costs more than it saves."""
    columns = codes.shape[1]

    def measure(cut: int) -> tuple[float, float]:
        error = torch.where(ranks < cut, 0.0, decoded) - target
        return float(((error @ gram) * error).sum()), entropy(code_counts(_pruned(codes, ranks, cut, zero)))

    start, bits = first = measure(0)
    kept, last = 0, first
    zeros = int((codes == zero).sum(1).min())
    for cut in range(zeros, columns + 1, max(1, round(STRIDE * columns))):
        error, bits = measure(cut)
        saved = last[1] - bits
        if error > (1 + options.error) * start or error - last[0] > options.price * PRICE * last[0] * max(saved, 0):
            break
        kept, last = cut, (error, bits)
    return kept
