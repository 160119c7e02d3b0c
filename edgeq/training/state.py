# SPDX-License-Identifier: Apache-2.0
"""All that a training needs to go on as if it had never stopped, as named tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from edgeq.training.student import Student

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass
class History:
    """What happened so far.

    Attributes:
        losses: Of each step, nats per token.
        evaluations: Step, loss and cross-entropy on the validation text.
    """

    losses: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self.losses)

    @property
    def best(self) -> tuple[int, float, float] | None:
        """The evaluation with the least loss, the first of several."""
        return min(self.evaluations, key=lambda entry: entry[1]) if self.evaluations else None

    @property
    def without_gain(self) -> int:
        """Evaluations since the best one."""
        return 0 if self.best is None else len(self.evaluations) - 1 - self.evaluations.index(self.best)


def trained_tensors(student: Student) -> dict[str, Tensor]:
    """What is trained, by name."""
    return {**student.parameters, **student.gammas}


def capture(student: Student, optimizer: torch.optim.Optimizer, history: History) -> dict[str, Tensor]:
    """The state between two steps, on the CPU."""
    tensors = {f"value.{name}": value.detach() for name, value in trained_tensors(student).items()}
    for name, value in trained_tensors(student).items():
        for moment in MOMENTS:
            if value in optimizer.state:
                tensors[f"{moment}.{name}"] = optimizer.state[value][moment]
    tensors["random"] = torch.get_rng_state()
    tensors["losses"] = torch.tensor(history.losses, dtype=torch.float64)
    tensors["evaluations"] = torch.tensor(history.evaluations, dtype=torch.float64).reshape(-1, 3)
    return {name: value.cpu() for name, value in tensors.items()}


@torch.no_grad()
def restore(tensors: dict[str, Tensor], student: Student, optimizer: torch.optim.Optimizer) -> History:
    """Puts a captured state back; returns its history."""
    history = History(
        tensors["losses"].tolist(), [(int(row[0]), row[1], row[2]) for row in tensors["evaluations"].tolist()]
    )
    for name, value in trained_tensors(student).items():
        value.copy_(tensors[f"value.{name}"])
        if f"{MOMENTS[0]}.{name}" in tensors:
            moments = {moment: tensors[f"{moment}.{name}"].to(value.device) for moment in MOMENTS}
            optimizer.state[value] = {"step": torch.tensor(float(history.steps)), **moments}
    torch.set_rng_state(tensors["random"])
    return history


@torch.no_grad()
def restore_values(tensors: dict[str, Tensor], student: Student) -> None:
    """Puts only what is trained back."""
    for name, value in trained_tensors(student).items():
        value.copy_(tensors[f"value.{name}"])
