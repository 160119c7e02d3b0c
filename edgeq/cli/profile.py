# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile``: throughput, load time and memory of a bundle on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from edgeq.cli.console import progress_bars
from edgeq.cli.ranges import parse_numbers
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.progress import Progress
    from edgeq_devices.job import Job
    from edgeq_devices.results import Measurement, ModelFacts

_LIST = "; lists and ranges such as 1,2 or 1-8*2"


def command(
    bundle: Annotated[Path, Argument(help="Bundle directory.", show_default=False)],
    n_prompt: Annotated[str, Option("-p", "--n-prompt", help=f"Prompt tokens{_LIST}; 0 for none.")] = "512",
    n_gen: Annotated[str, Option("-n", "--n-gen", help="Tokens generated one at a time; 0 for none.")] = "128",
    depth: Annotated[str, Option("-d", "--depth", help="Tokens in the context before, not timed.")] = "0",
    repetitions: Annotated[int, Option("-r", "--repetitions", min=1, help="Timed repetitions of each test.")] = 5,
    threads: Annotated[
        str | None, Option("-t", "--threads", help="Threads (default: one per physical core).", show_default=False)
    ] = None,
    no_warmup: Annotated[bool, Option("--no-warmup", help="Do not run once untimed before.")] = False,
    output_format: Annotated[str, Option("--format", help="md, csv or json.")] = "md",
    output: Annotated[
        Path | None, Option("-o", "--output", help="Write to a file instead of stdout.", show_default=False)
    ] = None,
) -> None:
    """Measure a bundle's speed, load time and memory on this machine."""
    from edgeq_devices.conditions import read_conditions
    from edgeq_devices.results import Report
    from edgeq_devices.tables import FORMATS

    if output_format not in FORMATS:
        raise EdgeqError("unknown format", field="--format", found=repr(output_format), wanted=" or ".join(FORMATS))
    if output is not None and not output.parent.is_dir():  # better said before the measurement than after it
        raise EdgeqError("no such directory", file=output.parent, field="--output")
    with progress_bars() as progress:
        facts, jobs = _plan(bundle, n_prompt, n_gen, depth, threads, repetitions, not no_warmup)
        conditions = read_conditions()
        report = Report(facts, conditions, [_measure(job, progress) for job in jobs])
    text = FORMATS[output_format](report)
    if output is None:
        print(text, end="")
    else:
        _write(output, text)


def _plan(
    path: Path,
    n_prompt: str,
    n_gen: str,
    depth: str,
    threads: str | None,
    repetitions: int,
    warmup: bool,
) -> tuple[ModelFacts, list[Job]]:
    from edgeq_devices.facts import model_facts
    from edgeq_devices.job import Job, Model, plan

    facts = model_facts(path)
    tests = plan(
        parse_numbers(n_prompt, "-p"),
        parse_numbers(n_gen, "-n"),
        parse_numbers(depth, "-d"),
        encoder=facts.kind == "encoder",
    )
    if not tests:
        raise EdgeqError("nothing to measure", field="-p and -n", found="0", wanted="at least one length above 0")
    for test in tests:
        test.check_fits(facts.context or sys.maxsize)
    model = Model(str(path))
    return facts, [Job(model, test, count, repetitions, warmup) for count in _threads(threads) for test in tests]


def _threads(text: str | None) -> list[int]:
    from edgeq.runtime.threads import check_threads, default_threads

    return [check_threads(count) for count in parse_numbers(text, "-t")] if text else [default_threads()]


def _measure(job: Job, progress: Progress) -> Measurement:
    from edgeq_devices.profiler import measure_job

    stage, done = job.name, 0
    progress(stage, 0, job.repetitions)

    def listen(event: dict[str, Any]) -> None:
        nonlocal done
        if event["event"] == "repetition":
            done += 1
            progress(stage, done, job.repetitions)

    return measure_job(job, listen)


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EdgeqError("cannot write", file=output, found=error.strerror) from error
