# SPDX-License-Identifier: Apache-2.0
"""MagR: weights of smaller magnitude with nearly the same outputs, found before they are quantized.

Source: MagR (arXiv 2406.00800), sections 3.2 and 3.3. Per output row it minimises

    ½‖X w − X ŵ‖² + α Σ_groups ‖w_group‖_∞

by proximal gradient steps. The paper's α has its meaning where the largest singular value of X is 1. Here H = XᵀX is
summed over all calibration tokens and divided by its largest eigenvalue (the authors' code takes the last sample only),
so that the step size is 1 and the threshold of the proximal operator is α itself; this normalisation is our reading.

GPTQ then sweeps over the reduced weights, whose outputs are nearly those of the original ones; the searches and the
coordinate descent after it measure against the original weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import Format
from edgeq.methods.option_types import Count, NotNegative
from edgeq.methods.options import MethodOptions

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

ALPHAS = (0.0, 1e-5, 1e-4, 1e-3)  # tried where alpha is "auto"
ITERATIONS = 150  # the paper's; its code runs 200
POWER_STEPS = 200
NEWTON_STEPS = 60


@dataclass(frozen=True)
class Options(MethodOptions):
    """Options of MagR.

    Attributes:
        alpha: Weight of the magnitudes. The paper takes 1e-3 per channel and 1e-4 per group, for models whose inputs
            have a low rank; less is better where they have not. ``auto``: each row keeps the one of `ALPHAS` with which
            the quantized row changes the layer's output least.
        iterations: Proximal gradient steps.
    """

    alpha: NotNegative | Literal["auto"] = "auto"
    iterations: Count = ITERATIONS

    def candidates(self) -> Sequence[Self]:
        """One for each of `ALPHAS` where ``alpha`` is ``auto``."""
        return [replace(self, alpha=alpha) for alpha in ALPHAS] if self.alpha == "auto" else [self]


def transform(
    weight: Tensor, statistics: LayerStatistics | None, fmt: Format, options: Options | None = None
) -> Tensor:
    """The weights to quantize in place of ``weight``, per group of the format; arguments as in `reduce_magnitude`.

    Raises:
        EdgeqError: There are no statistics, or ``alpha`` is still to be searched or negative.
    """
    options = options or Options()
    if statistics is None:
        raise EdgeqError("MagR needs calibration", remedy="add --calibration FILE")
    if options.alpha == "auto" or options.alpha < 0:
        raise EdgeqError("wrong weight of magnitudes", field="magr.alpha", found=options.alpha, wanted="0 or more")
    return reduce_magnitude(weight, statistics.gram, options.alpha, fmt.group_size, options.iterations)


def reduce_magnitude(
    weight: Tensor, gram: Tensor, alpha: float, group_size: int = 0, iterations: int = ITERATIONS
) -> Tensor:
    """The weights that MagR quantizes in place of the original ones.

    Args:
        weight: Original weights, floating point ``[N, K]``.
        gram: XᵀX of the layer's inputs, ``[K, K]``.
        alpha: Weight of the magnitudes; 1e-3 per channel and 1e-4 per group in the paper, less for small models.
        group_size: Inputs per group, 0: the whole row is one.
        iterations: Proximal gradient steps.

    Returns:
        float32 ``[N, K]``.
    """
    original = weight.float()
    largest = largest_eigenvalue(gram)
    if alpha <= 0 or largest == 0:
        return original.clone()
    hessian = (gram / largest).float()
    current = original.clone()
    for _ in range(iterations):
        current -= (current - original) @ hessian
        current = _clip_groups(current, alpha, group_size)
    return current


def objective(weight: Tensor, original: Tensor, gram: Tensor, alpha: float, group_size: int = 0) -> Tensor:
    """What MagR minimises, per row ``[N]``; arguments as in `reduce_magnitude`."""
    hessian = gram / largest_eigenvalue(gram)
    change = weight.to(hessian.dtype) - original
    parts = torch.split(weight, group_size or weight.shape[1], 1)
    magnitudes = torch.stack([part.abs().amax(1) for part in parts]).sum(0)
    return 0.5 * ((change @ hessian) * change).sum(1) + alpha * magnitudes


def largest_eigenvalue(gram: Tensor) -> float:
    """The largest eigenvalue of a positive semidefinite matrix ``[K, K]``, by power iteration.

    What is not converged yet is added, so that 1 over the result is a safe step: the norm of the residual.
    """
    start = torch.randn(len(gram), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    image = gram @ start.to(gram.dtype)
    value = residual = image.new_zeros(())
    for _ in range(POWER_STEPS):
        norm = image.norm()
        if norm == 0:
            return 0.0
        vector = image / norm
        image = gram @ vector
        value = vector @ image
        residual = (image - value * vector).norm()
        if residual <= 1e-6 * value:
            break
    return float(value + residual)


def prox(values: Tensor, threshold: float) -> Tensor:
    """The proximal operator of ``threshold``·‖·‖_∞ for each row ``[N, n]``.

    By Moreau's identity it is v − P(v), P the projection on the ℓ1 ball of radius ``threshold``, which is the same as
    clipping the row at `clip_threshold`.
    """
    bound = clip_threshold(values, threshold)
    return values.clamp(-bound, bound)


def clip_threshold(values: Tensor, radius: float) -> Tensor:
    """θ ≥ 0 with Σ max(|v| − θ, 0) = radius for each row ``[N, n]``, as ``[N, 1]``; 0 for rows of smaller ℓ1 norm.

    Newton's method on a convex, decreasing, piecewise linear function, from below: it rises to θ and ends there after
    finitely many steps, a few in practice, where sorting costs n log n.
    """
    magnitudes = values.abs()
    theta = torch.maximum(
        magnitudes.amax(1, keepdim=True) - radius, (magnitudes.sum(1, keepdim=True) - radius) / values.shape[1]
    ).clamp_(min=0)
    precision = torch.finfo(values.dtype).eps
    for _ in range(NEWTON_STEPS):
        excess = (magnitudes - theta).clamp_(min=0)
        active = (excess > 0).sum(1, keepdim=True).clamp_(min=1)
        step = ((excess.sum(1, keepdim=True) - radius) / active).clamp_(min=0)
        theta = theta + step
        if not (step > precision * theta).any():
            break
    return theta


def rank_fraction(gram: Tensor, tolerance: float = 1e-2) -> float:
    """Numerical rank of X over its number of inputs: singular values above ``tolerance`` times the largest.

    The paper's table 2 counts them without naming its threshold; this one is our choice.
    """
    values = torch.linalg.eigvalsh(gram).clamp_(min=0).sqrt_()
    return float((values > tolerance * values[-1]).double().mean())


def _clip_groups(weight: Tensor, alpha: float, group_size: int) -> Tensor:
    columns = weight.shape[1]
    if not group_size or group_size >= columns:
        return prox(weight, alpha)
    whole = columns - columns % group_size
    parts = [prox(weight[:, :whole].reshape(-1, group_size), alpha).reshape(len(weight), whole)]
    if whole < columns:
        parts.append(prox(weight[:, whole:], alpha))
    return torch.cat(parts, 1)
