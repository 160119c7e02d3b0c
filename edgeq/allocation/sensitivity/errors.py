# SPDX-License-Identifier: Apache-2.0
"""Errors of a layer under each scheme, made by the quantizer that the export uses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgeq.calibration.statistics import LayerStatistics
from edgeq.methods.pipeline import Pipeline
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme


def measuring_pipeline(plan: Plan, *, observed: bool) -> Pipeline:
    """The methods with which errors are measured: those of the plan, one layer at a time.

    Folds are left out, since they change a whole block; a solver that learns on a whole block gives way to rounding.

    Args:
        plan: Schemes and methods.
        observed: Whether the inputs of the layers are known.
    """
    pipeline = plan.pipeline_for(observed=observed)
    if pipeline.solver.method.whole_block:
        return plan.fallback
    return Pipeline(tuple(step for step in pipeline.steps if step.method.stage != "fold"))


@dataclass(frozen=True)
class Trial:
    """A layer under one scheme.

    Attributes:
        matrix: What its weights decode to, float32 ``[N, K]``.
        squared: ‖Ŵ − W‖².
        weight: That, relative to ‖W‖².
        output: ‖X(Ŵ − W)ᵀ‖² / ‖XWᵀ‖²; ``None`` if the inputs are not known.
    """

    matrix: Tensor
    squared: float
    weight: float
    output: float | None


def try_scheme(weight: Tensor, scheme: Scheme, pipeline: Pipeline, statistics: LayerStatistics | None) -> Trial:
    """Quantizes a layer.

    Args:
        weight: float32 ``[N, K]``.
        scheme: The scheme; fp32 changes nothing.
        pipeline: The methods.
        statistics: Of its inputs.

    Raises:
        EdgeqError: The layer cannot be quantized so.
    """
    fmt = scheme.weights
    if fmt is None:
        return Trial(weight, 0.0, 0.0, None if statistics is None else 0.0)
    tensor = pipeline.quantize(weight, fmt, statistics).tensor
    matrix = torch.from_numpy(fmt.decode(tensor))  # type: ignore[arg-type]  # the format's own tensor
    error = matrix - weight
    squared = square_sum(error)
    output = None if statistics is None else output_energy(error, statistics) / output_energy(weight, statistics)
    return Trial(matrix, squared, squared / max(square_sum(weight), 1e-300), output)


def square_sum(matrix: Tensor) -> float:
    """‖M‖²."""
    return float(matrix.double().square().sum())


def output_energy(matrix: Tensor, statistics: LayerStatistics) -> float:
    """‖XMᵀ‖² = tr(M XᵀX Mᵀ) over the calibration tokens, never 0."""
    if "gram32" not in statistics.memo:
        statistics.memo["gram32"] = statistics.gram.float()
    gram: Tensor = statistics.memo["gram32"]
    return max(float(((matrix @ gram) * matrix).sum(dtype=torch.float64)), 1e-300)
