# SPDX-License-Identifier: Apache-2.0
"""Four ways to predict what an error of one layer does to the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from edgeq.allocation.sensitivity.errors import Trial, output_energy
from edgeq.allocation.sensitivity.noise import measure_slope
from edgeq.allocation.sensitivity.probe import Probe
from edgeq.allocation.sensitivity.walk import Visit
from edgeq.quantization.skeleton import Target


@dataclass(frozen=True)
class Damage:
    """Predictions for one layer.

    Attributes:
        alpha: As in `LayerSensitivity`.
        changes: Predicted change of the loss, in the order of the trials.
    """

    alpha: float | None
    changes: list[float]


Predict = Callable[[Visit, list[Trial]], Damage]


def output_damage(visit: Visit, trials: list[Trial]) -> Damage:
    """(a) The squared change of the layer's outputs per token; no model of the loss behind it."""
    alpha = output_energy(visit.weight, visit.statistics) / visit.statistics.tokens
    return Damage(alpha, [alpha * (trial.output or 0.0) for trial in trials])


class FisherDamage:
    """(b) Half of Σ F (Ŵ − W)², with the diagonal of the empirical Fisher information as the Hessian of the loss.

    `edgeq.calibration.fisher` averages squared gradients of windows, whose loss is the mean over their tokens. With
    gradients of tokens that do not correlate, times the tokens that is the Fisher information per token.

    Args:
        fisher: By layer, float32 ``[N, K]``.
        predicted_tokens: Of a window.
    """

    def __init__(self, fisher: Callable[[Target], Tensor | None], predicted_tokens: int) -> None:
        self._fisher, self._tokens = fisher, predicted_tokens

    def __call__(self, visit: Visit, trials: list[Trial]) -> Damage:
        """The prediction."""
        fisher = self._fisher(visit.target)
        assert fisher is not None
        scale = self._tokens / 2

        def change(error: Tensor) -> float:
            return scale * float((fisher * error.square()).sum(dtype=torch.float64))

        alpha = scale * float(fisher.mean(dtype=torch.float64)) * float(visit.weight.double().square().sum())
        return Damage(alpha, [change(trial.matrix - visit.weight) for trial in trials])


class NoiseDamage:
    """(c) α times the relative squared error, α by noise insertion and regression.

    Args:
        probe: Measures the model.
        observed: Whether errors are those of the outputs.
    """

    def __init__(self, probe: Probe, *, observed: bool) -> None:
        self._probe, self._observed = probe, observed

    def __call__(self, visit: Visit, trials: list[Trial]) -> Damage:
        """The prediction."""
        statistics = visit.statistics if self._observed else None

        def change(matrix: Tensor) -> float:
            return self._probe.divergence(visit.block, visit.module, visit.target, matrix)

        slope = measure_slope(visit.weight, statistics, change, seed=visit.target.rows * 31 + visit.group)
        errors = [trial.weight if trial.output is None else trial.output for trial in trials]
        return Damage(slope.alpha, [slope.alpha * error for error in errors])


class MeasuredDamage:
    """(d) The KL divergence with the layer alone quantized, as OHQ (arXiv 2309.01945) measures it; nothing is modelled.

    Args:
        probe: Measures the model.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def __call__(self, visit: Visit, trials: list[Trial]) -> Damage:
        """The measurement."""
        found = [self._probe.divergence(visit.block, visit.module, visit.target, trial.matrix) for trial in trials]
        return Damage(None, found)
