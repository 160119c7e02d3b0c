# SPDX-License-Identifier: Apache-2.0
"""Learning rates over the steps, and the optimizer that they drive."""

from __future__ import annotations

import math

import torch

from edgeq.training.settings import Settings
from edgeq.training.student import Student

BETAS = (0.9, 0.95)


def factor(step: int, steps: int, warmup: float) -> float:
    """What the peak learning rates are multiplied by in a step, 0 … ``steps`` − 1: a rise, then half a cosine."""
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def make_optimizer(student: Student, settings: Settings) -> torch.optim.AdamW:
    """AdamW over matrices, other parameters and γ; only matrices decay."""
    matrices = student.matrices
    groups = [
        {
            "params": [value for name, value in student.parameters.items() if name in matrices],
            "peak": settings.learning_rate,
            "weight_decay": settings.weight_decay,
        },
        {
            "params": [value for name, value in student.parameters.items() if name not in matrices],
            "peak": settings.learning_rate,
            "weight_decay": 0.0,
        },
        {"params": list(student.gammas.values()), "peak": settings.gamma_rate, "weight_decay": 0.0, "gamma": True},
    ]
    used = [group for group in groups if group["params"]]
    return torch.optim.AdamW(used, lr=settings.learning_rate, betas=BETAS, foreach=False)


def set_rates(optimizer: torch.optim.Optimizer, settings: Settings, step: int) -> float:
    """Sets the learning rates of a step; returns that of the weights. γ stays from a step on."""
    scale = factor(step, settings.steps, settings.warmup)
    frozen = step >= settings.steps * (1 - settings.gamma_frozen)
    for group in optimizer.param_groups:
        group["lr"] = 0.0 if frozen and group.get("gamma") else scale * group["peak"]
    return scale * settings.learning_rate
