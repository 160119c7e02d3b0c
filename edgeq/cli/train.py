# SPDX-License-Identifier: Apache-2.0
"""``edgeq train``: a checkpoint learns under its quantizers, before export."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typer import Argument, Exit, Option

from edgeq.cli.assignments import parse_layers, parse_method_options
from edgeq.cli.console import print_json, progress_bars, stderr, stdout
from edgeq.cli.export_options import AsJson, Force, Layer, Skip, Vocabulary

if TYPE_CHECKING:
    from edgeq.training.loop import Report, StepReport
    from edgeq.training.train import Outcome

EXIT_INTERRUPTED = 130


def command(
    model: Annotated[str, Argument(help="Checkpoint directory or hub id.", show_default=False)],
    text: Annotated[
        Path, Option(help="What it learns from: text, .jsonl with a field text, or token ids (.npy, .json).")
    ],
    output: Annotated[Path, Option("--output", "-o", help="Checkpoint directory to create.")],
    scheme: Annotated[
        str | None, Option(help="Scheme, e.g. w4g128, w2g32-asym, w4a8. (default: w4g128)", show_default=False)
    ] = None,
    vocabulary: Vocabulary = None,
    layer: Layer = None,
    skip: Skip = None,
    schemes_of: Annotated[
        Path | None,
        Option(help="Bundle whose layers' schemes it learns under, e.g. of export --avg-bits.", show_default=False),
    ] = None,
    steps: Annotated[int | None, Option(help="Steps of the optimizer. (default: 1000)", show_default=False)] = None,
    batch: Annotated[
        int | None, Option(help="Windows that a process reads at a time. (default: 8)", show_default=False)
    ] = None,
    accumulate: Annotated[
        int | None, Option(help="Batches whose gradients make a step. (default: 1)", show_default=False)
    ] = None,
    length: Annotated[
        int | None, Option(help="Tokens per window. (default: 512, or the model's context)", show_default=False)
    ] = None,
    learning_rate: Annotated[
        float | None, Option("--lr", help="Peak learning rate of the weights. (default: 0.0002)", show_default=False)
    ] = None,
    gamma_rate: Annotated[
        float | None, Option("--gamma-lr", help="The same of log γ. (default: 0.002)", show_default=False)
    ] = None,
    gamma: Annotated[
        str | None,
        Option(
            help="What shares a trained γ: group, channel, tensor; off for none. (default: group)", show_default=False
        ),
    ] = None,
    gradient: Annotated[
        str | None,
        Option(
            help="What stands for the quantizer's derivative: ste, soft-clamp, sigmoid. (default: ste)",
            show_default=False,
        ),
    ] = None,
    loss: Annotated[
        str | None,
        Option(help="kl: predictions of the original; ce: the text; mix: both. (default: kl)", show_default=False),
    ] = None,
    mix: Annotated[
        float | None, Option(help="With --loss mix: share of the text's. (default: 0.5)", show_default=False)
    ] = None,
    init: Annotated[
        str | None, Option(help="What quantizes the start: rtn or gptq. (default: rtn)", show_default=False)
    ] = None,
    init_option: Annotated[
        list[str] | None, Option(help="METHOD.FIELD=VALUE of --init, e.g. gptq.act_order=true.", show_default=False)
    ] = None,
    warmup: Annotated[
        float | None, Option(help="Share of the steps in which rates rise. (default: 0.05)", show_default=False)
    ] = None,
    weight_decay: Annotated[float | None, Option(help="Of the matrices. (default: 0)", show_default=False)] = None,
    seed: Annotated[int | None, Option(help="Of the order of the windows. (default: 0)", show_default=False)] = None,
    bf16: Annotated[bool, Option("--bf16", help="Compute products in bfloat16.")] = False,
    validation: Annotated[
        Path | None, Option(help="Held-out text; the weights that do best on it are kept.", show_default=False)
    ] = None,
    evaluate_every: Annotated[
        int | None, Option(help="Steps between evaluations on it. (default: 50)", show_default=False)
    ] = None,
    patience: Annotated[
        int | None, Option(help="Stop after so many evaluations without a better one.", show_default=False)
    ] = None,
    work_dir: Annotated[
        Path | None,
        Option(help="Where the state is kept meanwhile. (default: .OUTPUT.work beside the output)", show_default=False),
    ] = None,
    save_every: Annotated[int, Option(min=1, help="Steps between two savings of the state.")] = 100,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Train a checkpoint under its quantizers (quantization-aware training).

    The same command goes on with a training that was interrupted. Export the result with --method qat. Several
    processes, on one machine or more: torchrun --nproc-per-node N -m edgeq.cli.app train MODEL ...
    """
    from edgeq.training.bundle_schemes import bundle_schemes
    from edgeq.training.settings import Settings
    from edgeq.training.train import train

    schemes = {"scheme": scheme, "vocabulary": vocabulary, "layers": parse_layers(layer), "skip": skip}
    if schemes_of is not None:
        schemes = bundle_schemes(schemes_of, schemes)
    settings = Settings.build(
        **schemes,
        init=init,
        init_options=parse_method_options(init_option),
        gamma=gamma,
        gradient=gradient,
        loss=loss,
        mix=mix,
        steps=steps,
        batch=batch,
        accumulate=accumulate,
        length=length,
        learning_rate=learning_rate,
        gamma_rate=gamma_rate,
        weight_decay=weight_decay,
        warmup=warmup,
        seed=seed,
        bfloat16=bf16,
        evaluate_every=evaluate_every,
        patience=patience,
    )
    with progress_bars() as progress, _training_bar() as report:
        outcome = train(
            model,
            text,
            output,
            settings,
            validation=validation,
            work=work_dir,
            save_every=save_every,
            force=force,
            progress=progress,
            report=report,
        )
    if not outcome.complete:
        _say_how_to_resume(outcome)
        raise Exit(EXIT_INTERRUPTED)
    if outcome.writer:
        _print(outcome, output, as_json)


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
