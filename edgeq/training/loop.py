# SPDX-License-Identifier: Apache-2.0
"""The training loop: fake-quantize, predict, compare with the original, step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.training.data import Windows
from edgeq.training.distillation import Objective
from edgeq.training.distributed import Processes
from edgeq.training.interrupts import Interrupt
from edgeq.training.schedule import make_optimizer, set_rates
from edgeq.training.settings import Settings
from edgeq.training.state import History, capture, restore, restore_values, trained_tensors
from edgeq.training.store import BEST, STATE, Store
from edgeq.training.student import Student


@dataclass(frozen=True)
class StepReport:
    """What a step came to.

    Attributes:
        step: Steps done.
        steps: In all.
        loss: Of this step, nats per token.
        rate: Learning rate of the weights.
        evaluation: Step, loss and cross-entropy of the last evaluation, if there was one.
    """

    step: int
    steps: int
    loss: float
    rate: float
    evaluation: tuple[int, float, float] | None


Report = Callable[[StepReport], None]


@dataclass(frozen=True)
class Task:
    """What a trainer works on.

    Attributes:
        student: The model with quantizers.
        teacher: The original, ``None`` where the loss does not need it.
        windows: Training text.
        validation: int64 ``[windows, length]``, or ``None``.
    """

    student: Student
    teacher: nn.Module | None
    windows: Windows
    validation: Tensor | None = None


class Trainer:
    """Trains until the steps are done, the validation loss no longer falls, or an interrupt.

    Args:
        task: What is trained, on what.
        settings: How.
        processes: Who else does.
        store: Where the state is kept.
        save_every: Steps between two savings.
        report: Told every step.
    """

    def __init__(
        self,
        task: Task,
        settings: Settings,
        processes: Processes,
        store: Store,
        save_every: int,
        report: Report | None = None,
    ) -> None:
        self.task, self.settings, self.processes, self.store = task, settings, processes, store
        self.save_every, self.report = save_every, report
        self.objective = Objective(settings.loss, settings.mix)
        self.optimizer = make_optimizer(task.student, settings)
        self.history = self._resume()

    def run(self, interrupt: Interrupt) -> bool:
        """Trains on; returns whether the training is complete. The state is saved in either case."""
        while not self._finished():
            if self.processes.any(interrupt.asked):
                self._save()
                return False
            rate = set_rates(self.optimizer, self.settings, self.history.steps)
            self.history.losses.append(self._step(self.history.steps))
            if self._evaluation_due():
                self._evaluate()
            if self.report and self.processes.first:
                last = self.history.evaluations[-1] if self.history.evaluations else None
                steps = self.history.steps
                self.report(StepReport(steps, self.settings.steps, self.history.losses[-1], rate, last))
            if self.history.steps % self.save_every == 0:
                self._save()
        self._save()
        self._restore_best()
        return True

    def _restore_best(self) -> None:
        if self.history.best is not None:
            best = self.processes.from_first(self.store.load(BEST) if self.processes.first else None)
            restore_values(best, self.task.student)

    def _finished(self) -> bool:
        patience = self.settings.patience
        worn_out = patience is not None and self.history.without_gain >= patience
        return worn_out or self.history.steps >= self.settings.steps

    def _step(self, step: int) -> float:
        """One step of the optimizer; returns the loss, averaged over all processes."""
        settings, student = self.settings, self.task.student
        matrices = student.quantized()
        # Batches add up gradients of the rounded matrices; these pass through the quantizers once.
        leaves = {name: matrix.detach().requires_grad_() for name, matrix in matrices.items()}
        total = torch.zeros((), device=self.processes.device)
        for batch in range(settings.accumulate):
            (loss,) = self._losses(leaves, self._batch(step, batch), self.objective)
            loss = loss / settings.accumulate
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        used = [name for name, leaf in leaves.items() if leaf.grad is not None]
        torch.autograd.backward([matrices[name] for name in used], [leaves[name].grad for name in used])
        gradients = [value.grad for value in trained_tensors(student).values() if value.grad is not None]
        self.processes.average([*gradients, total])
        nn.utils.clip_grad_norm_(student.parameters.values(), settings.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(total)

    def _batch(self, step: int, batch: int) -> Tensor:
        settings, processes = self.settings, self.processes
        place = (step * settings.accumulate + batch) * processes.count + processes.rank
        return self.task.windows.batch(place * settings.batch, settings.batch).to(processes.device)

    def _losses(self, matrices: dict[str, Tensor], ids: Tensor, *objectives: Objective) -> list[Tensor]:
        """Each objective on the same predictions."""
        kind = self.processes.device.type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.settings.bfloat16):
            original = self._original(ids) if self.objective.distils else None
            logits = self.task.student.logits(matrices, ids)
            return [objective(logits, ids, original if objective.distils else None) for objective in objectives]

    @torch.no_grad()
    def _original(self, ids: Tensor) -> Tensor:
        assert self.task.teacher is not None
        outputs: Any = self.task.teacher(ids, use_cache=False)
        logits: Tensor = outputs.logits
        return logits

    def _evaluation_due(self) -> bool:
        steps, every = self.history.steps, self.settings.evaluate_every
        return self.task.validation is not None and (steps % every == 0 or steps == self.settings.steps)

    def _evaluate(self) -> None:
        entry = self.processes.from_first(self._validation_losses() if self.processes.first else None)
        self.history.evaluations.append(entry)
        if self.history.best == entry and self.processes.first:
            values = trained_tensors(self.task.student).items()
            self.store.save(BEST, {f"value.{name}": value.detach().cpu() for name, value in values})

    @torch.no_grad()
    def _validation_losses(self) -> tuple[int, float, float]:
        """Steps done, the loss that is trained, and cross-entropy."""
        assert self.task.validation is not None
        matrices = self.task.student.quantized()
        sums = [0.0, 0.0]
        parts = self.task.validation.split(self.settings.batch)  # type: ignore[no-untyped-call]
        for ids in parts:
            moved = ids.to(self.processes.device)
            for index, loss in enumerate(self._losses(matrices, moved, self.objective, Objective("ce", 0.0))):
                sums[index] += float(loss) * len(ids)
        return self.history.steps, sums[0] / len(self.task.validation), sums[1] / len(self.task.validation)

    def _save(self) -> None:
        if self.processes.first:
            self.store.save(STATE, capture(self.task.student, self.optimizer, self.history))

    def _resume(self) -> History:
        tensors = self.processes.from_first(self.store.load(STATE) if self.processes.first else None)
        return History() if tensors is None else restore(tensors, self.task.student, self.optimizer)
