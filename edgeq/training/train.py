# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint and a text to a trained checkpoint."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from edgeq.checkpoint import Checkpoint, resolve_model
from edgeq.errors import EdgeqError
from edgeq.progress import Progress
from edgeq.quantization.skeleton import build_skeleton
from edgeq.training.data import Texts, Windows, validation_windows
from edgeq.training.distributed import Processes
from edgeq.training.interrupts import delayed_interrupts
from edgeq.training.loop import Report, Task, Trainer
from edgeq.training.record import document, final_loss
from edgeq.training.result import check_output, write_checkpoint
from edgeq.training.settings import Settings
from edgeq.training.start import load_model, start_student, trained_layers, training_plan
from edgeq.training.store import Store, training_fingerprint
from edgeq.training.student import Student

DEFAULT_SAVE_EVERY = 100


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        complete: Whether the checkpoint was written; else the training was interrupted, and its state is kept.
        steps: Done.
        final_loss: Nats per token: the best on the validation text, or the mean of the last steps.
        work: Where the state is.
        writer: Whether this process is the one that writes and speaks.
    """

    complete: bool
    steps: int
    final_loss: float
    work: Path
    writer: bool = True


def train(
    model: str | Path,
    text: str | Path,
    output: str | Path,
    settings: Settings | None = None,
    *,
    validation: str | Path | None = None,
    work: str | Path | None = None,
    save_every: int = DEFAULT_SAVE_EVERY,
    force: bool = False,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Outcome:
    """Trains a checkpoint under its quantizers and writes the trained checkpoint.

    A training that was interrupted goes on where it stopped when it is called in the same way again, and then gives
    the same weights, bit for bit, with the same number of threads on the same machine.

    Args:
        model: Checkpoint directory or hub id.
        text: What it learns from: text, JSON lines or token ids.
        output: Directory to create.
        settings: How.
        validation: Text on which the best weights are chosen, which are then kept.
        work: Where the state is kept meanwhile; by default ``.NAME.work`` beside ``output``.
        save_every: Steps between two savings of the state.
        force: Replace ``output`` if it is not empty.
        progress: Told the stage ``quantize``, before training.
        report: Told every step.

    Raises:
        EdgeqError: Anything a user can mend.
    """
    settings, target = settings or Settings(), Path(output)
    check_output(target, force)
    directory = Path(work) if work else target.absolute().with_name(f".{target.name}.work")
    checkpoint = Checkpoint(resolve_model(str(model)))
    trained_layers(build_skeleton(checkpoint), training_plan(settings))  # refused before anything takes time
    _check_bfloat16(settings)
    texts = Texts.read(checkpoint, Path(text), None if validation is None else Path(validation), settings.length)
    processes = Processes()
    with processes.joined(), delayed_interrupts() as interrupt, ExitStack() as at_end:
        store = Store.none()
        if processes.first:
            store = Store.open(directory, training_fingerprint(checkpoint, settings, texts, processes.count))
            at_end.callback(store.release)
        task = _task(checkpoint, settings, texts, processes, progress)
        trainer = Trainer(task, settings, processes, store, save_every, report)
        complete = trainer.run(interrupt)
        history = trainer.history
        if complete and processes.first:
            tokens = texts.length * settings.batch * settings.accumulate * processes.count
            write_checkpoint(target, task.student, checkpoint, document(settings, checkpoint, texts, history, tokens))
            store.remove()
        return Outcome(complete, history.steps, final_loss(history), directory, processes.first)


def _task(
    checkpoint: Checkpoint, settings: Settings, texts: Texts, processes: Processes, progress: Progress | None
) -> Task:
    windows = Windows(texts.training, texts.length, settings.seed)
    student = start_student(checkpoint, settings, windows, progress if processes.first else None)
    _move(student, processes)
    teacher = None if settings.loss == "ce" else load_model(checkpoint).to(processes.device)
    ids = None if texts.validation is None else validation_windows(texts.validation, texts.length)
    return Task(student, teacher, windows, ids)


def _move(student: Student, processes: Processes) -> None:
    """To where it is trained, with the first process's numbers: other machines may have rounded otherwise."""
    student.model.to(processes.device)
    for quantizer in student.quantizers.values():
        quantizer.to(processes.device)
    processes.copy_from_first([*student.parameters.values(), *student.buffers()])


def has_bfloat16() -> bool:
    """Whether there is a GPU, or the processor multiplies bfloat16 by instructions of its own."""
    return torch.cuda.is_available() or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _check_bfloat16(settings: Settings) -> None:
    if settings.bfloat16 and not has_bfloat16():
        raise EdgeqError("this processor computes no bfloat16", field="--bf16", remedy="leave it out")
