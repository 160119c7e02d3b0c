# SPDX-License-Identifier: Apache-2.0
"""``edgeq train``: a checkpoint learns under its quantizers, before export."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typer import Exit

from edgeq.cli import train_options as options
from edgeq.cli.assignments import parse_layers, parse_method_options
from edgeq.cli.console import print_json, progress_bars, stderr, stdout
from edgeq.cli.export_options import Layer, Skip, Vocabulary
from edgeq.cli.options import AsJson, Force

if TYPE_CHECKING:
    from edgeq.training.loop import Report, StepReport
    from edgeq.training.train import Outcome

EXIT_INTERRUPTED = 130


def command(
    model: options.Model,
    text: options.Text,
    output: options.Output,
    scheme: options.Scheme = None,
    vocabulary: Vocabulary = None,
    layer: Layer = None,
    skip: Skip = None,
    schemes_of: options.SchemesOf = None,
    steps: options.Steps = None,
    batch: options.Batch = None,
    accumulate: options.Accumulate = None,
    length: options.Length = None,
    learning_rate: options.LearningRate = None,
    gamma_rate: options.GammaRate = None,
    gamma: options.Gamma = None,
    gradient: options.Gradient = None,
    loss: options.Loss = None,
    mix: options.Mix = None,
    init: options.Init = None,
    init_option: options.InitOption = None,
    warmup: options.Warmup = None,
    weight_decay: options.WeightDecay = None,
    seed: options.Seed = None,
    bf16: options.Bfloat16 = False,
    validation: options.Validation = None,
    evaluate_every: options.EvaluateEvery = None,
    patience: options.Patience = None,
    work_dir: options.WorkDir = None,
    save_every: options.SaveEvery = 100,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Train a checkpoint under its quantizers (quantization-aware training).

    The same command goes on with a training that was interrupted. Export the result with --method qat. Several
    processes, on one machine or more: torchrun --nproc-per-node N -m edgeq.cli.app train MODEL ...
    """
    from edgeq.training.settings import Settings
    from edgeq.training.train import train

    layers = {"scheme": scheme, "vocabulary": vocabulary, "layers": parse_layers(layer), "skip": skip}
    schemes = _schemes(schemes_of, layers)
    start = {"init": init, "init_options": parse_method_options(init_option)}
    quantizer = {"gamma": gamma, "gradient": gradient, "gamma_rate": gamma_rate}
    loop = {"steps": steps, "batch": batch, "accumulate": accumulate, "length": length, "seed": seed, "bfloat16": bf16}
    rates = {"learning_rate": learning_rate, "weight_decay": weight_decay, "warmup": warmup}
    aim = {"loss": loss, "mix": mix, "evaluate_every": evaluate_every, "patience": patience}
    settings = Settings.build(**schemes, **start, **quantizer, **loop, **rates, **aim)
    learn = partial(train, model, text, output, settings, validation=validation, work=work_dir, save_every=save_every)
    with progress_bars() as progress, _training_bar() as report:
        outcome = learn(force=force, progress=progress, report=report)
    _tell(outcome, output, as_json)


def _schemes(bundle: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """The schemes that are given, or those of a bundle's layers."""
    from edgeq.training.bundle_schemes import bundle_schemes

    return given if bundle is None else bundle_schemes(bundle, given)


@contextmanager
def _training_bar() -> Iterator[Report]:
    """A bar on stderr with the loss and the time left."""
    columns = (
        TextColumn("train"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=stderr)
    tasks: list[Any] = []

    def report(step: StepReport) -> None:
        loss = f"{step.loss:.4f}" + (f", held out {step.evaluation[1]:.4f}" if step.evaluation else "")
        if not tasks:
            bar.start()
            tasks.append(bar.add_task("train", total=step.steps, completed=step.step - 1, loss=loss))
        bar.update(tasks[0], completed=step.step, loss=loss)

    try:
        yield report
    finally:
        if tasks:
            bar.stop()


def _tell(outcome: Outcome, output: Path, as_json: bool) -> None:
    """What became of it; an interrupted training says how to go on.

    Raises:
        Exit: It was interrupted.
    """
    if not outcome.complete:
        _say_how_to_resume(outcome)
        raise Exit(EXIT_INTERRUPTED)
    if outcome.writer:
        _print(outcome, output, as_json)


def _say_how_to_resume(outcome: Outcome) -> None:
    stderr.print(
        f"edgeq: interrupted after {outcome.steps} steps; the state is in {outcome.work}. "
        f"The same command goes on from there: {' '.join(['edgeq', *sys.argv[1:]])}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _print(outcome: Outcome, output: Path, as_json: bool) -> None:
    if as_json:
        print_json({"output": str(output), "steps": outcome.steps, "final_loss": outcome.final_loss})
        return
    stdout.print(
        f"{output}: {outcome.steps} steps, loss {outcome.final_loss:.4f} nats/token. "
        f"Export it: edgeq export {output} --method qat -o OUT",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
