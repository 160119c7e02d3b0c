# SPDX-License-Identifier: Apache-2.0
"""Scales of least output error for given codes, in turn with coordinate descent on the codes.

With the codes fixed, the weights of a row are linear in its scales (or binary coefficients and offsets), so that those
of all groups of the row together follow from one least-squares problem in the metric XᵀX. LUT-GEMM (arXiv 2206.09557)
and HLQ (ELUTQ) alternate so within a group, where errors count by themselves; the metric and the whole row are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import BcqTensor, Format, QuantizedTensor
from edgeq.formats.layout import group_count
from edgeq.methods import cd
from edgeq.methods.grids.uniform import as_float16
from edgeq.methods.option_types import Count, NotNegative
from edgeq.methods.options import MethodOptions
from edgeq.methods.rows import map_rows

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

ELEMENTS = 1 << 24  # of the basis of the rows solved at a time


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of refitting.

    Attributes:
        rounds: Alternations.
        passes: Passes of coordinate descent in each.
        damping: Added to the diagonal of XᵀX, as a fraction of its mean.
    """

    rounds: Count = 4
    passes: Count = 3
    damping: NotNegative = 0.01


def refine(
    tensor: QuantizedTensor,
    fmt: Format,
    target: Tensor,
    statistics: LayerStatistics | None,
    options: Options | None = None,
) -> QuantizedTensor:
    """Scales and codes with less output error; arguments as in `edgeq.methods.cd.refine`.

    Raises:
        EdgeqError: There are no statistics, or a scale does not fit float16.
    """
    options = options or Options()
    if statistics is None:
        raise EdgeqError("refitting needs calibration", remedy="add --calibration FILE")
    hessian = cd.damped(statistics.gram, options.damping)
    descent = cd.Options(options.passes, options.damping)
    for _ in range(options.rounds):
        tensor = fit_scales(tensor, fmt, target, hessian)
        tensor = cd.refine(tensor, fmt, target, statistics, descent)
    return tensor


def fit_scales(tensor: QuantizedTensor, fmt: Format, target: Tensor, hessian: Tensor) -> QuantizedTensor:
    """The same codes with the scales that make (W − Ŵ) H (W − Ŵ)ᵀ least; no row's error rises, but for float16.

    Args:
        tensor: The quantized matrix.
        fmt: Its format.
        target: The original weights, ``[N, K]``.
        hessian: H, positive definite, float32 ``[K, K]``.
    """
    decoded = torch.from_numpy(fmt.decode(tensor))  # type: ignore[arg-type]  # the format's own tensor
    rows, columns = decoded.shape
    groups = group_count(columns, fmt.group_size)
    parts = fmt.bits + 1 if isinstance(tensor, BcqTensor) else 1

    def solve(part: slice) -> QuantizedTensor:
        own = _rows_of(tensor, part)
        change = _least_squares(_basis(own, decoded[part]), target[part].float() - decoded[part], hessian, fmt)
        return _changed(own, change)

    return map_rows(rows, max(1, ELEMENTS // (columns * max(parts * groups, 1) * parts)), solve)


def _basis(tensor: QuantizedTensor, decoded: Tensor) -> Tensor:
    """What one unit of each coefficient adds to the weights of its group, float32 ``[n, c, K]``.

    Scales change by a factor, so that theirs is the weights themselves, whatever the format decodes.
    """
    if not isinstance(tensor, BcqTensor):
        return decoded.unsqueeze(1)
    codes, planes = torch.from_numpy(tensor.codes), tensor.coefficients.shape[2]
    signs = [((codes >> plane) & 1).float() * 2 - 1 for plane in range(planes)]
    return torch.stack([*signs, torch.ones_like(decoded)], 1)


def _least_squares(basis: Tensor, rest: Tensor, hessian: Tensor, fmt: Format) -> Tensor:
    """Changes of the coefficients that explain ``rest`` ``[n, K]`` best, float64 ``[n, groups, c]``."""
    n, parts, columns = basis.shape
    size = fmt.group_size or columns
    groups = group_count(columns, fmt.group_size)
    missing = groups * size - columns
    padded = torch.nn.functional.pad(basis, (0, missing)).reshape(n, parts, groups, size)
    normal = torch.empty(n, groups, parts, groups, parts, dtype=torch.float64)
    for group in range(groups):
        own = slice(group * size, min((group + 1) * size, columns))
        images = torch.nn.functional.pad(basis[:, :, own] @ hessian[own], (0, missing))
        products = torch.einsum("ncgs,npgs->ncgp", images.reshape(n, parts, groups, size), padded)
        normal[:, group] = products.double()
    images = torch.nn.functional.pad(rest @ hessian, (0, missing)).reshape(n, groups, size)
    right = torch.einsum("ngs,npgs->ngp", images, padded).double().reshape(n, -1)
    matrix = normal.reshape(n, groups * parts, groups * parts)
    ridge = 1e-6 * matrix.diagonal(dim1=1, dim2=2).mean(1, keepdim=True) + 1e-30
    matrix.diagonal(dim1=1, dim2=2).add_(ridge)
    solution: Tensor = torch.linalg.solve(matrix, right)
    return solution.reshape(n, groups, parts)


def _changed(tensor: QuantizedTensor, change: Tensor) -> QuantizedTensor:
    if isinstance(tensor, BcqTensor):
        halfs = torch.cat([torch.from_numpy(tensor.coefficients), torch.from_numpy(tensor.offsets).unsqueeze(2)], 2)
        fitted = as_float16((halfs.double() + change).float()).half().numpy()
        return replace(tensor, coefficients=fitted[:, :, :-1], offsets=fitted[:, :, -1])
    scales = as_float16((torch.from_numpy(tensor.scales).double() * (1 + change[:, :, 0])).float())
    return replace(tensor, scales=scales.half().numpy())


def _rows_of(tensor: Any, part: slice) -> QuantizedTensor:
    values = {name: value[part] for name, value in vars(tensor).items() if value is not None}
    fitted: QuantizedTensor = replace(tensor, **values)
    return fitted
