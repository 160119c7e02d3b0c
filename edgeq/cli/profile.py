# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile``: throughput, latency, load time, memory and energy of a bundle, here or on a board."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from edgeq.cli.console import progress_bars
from edgeq.cli.ranges import parse_numbers
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeq.progress import Progress
    from edgeq_devices.job import Job, Test
    from edgeq_devices.results import Measurement, ModelFacts, Report
    from edgeq_devices.session import Session

_LIST = "; lists and ranges such as 1,2 or 1-8*2"
IDLE_SECONDS = 2.0


def command(
    bundle: Annotated[Path, Argument(help="Bundle directory.", show_default=False)],
    n_prompt: Annotated[str, Option("-p", "--n-prompt", help=f"Prompt tokens{_LIST}; 0 for none.")] = "512",
    n_gen: Annotated[str, Option("-n", "--n-gen", help="Tokens generated one at a time; 0 for none.")] = "128",
    depth: Annotated[str, Option("-d", "--depth", help="Tokens in the context before, not timed.")] = "0",
    repetitions: Annotated[int, Option("-r", "--repetitions", min=1, help="Timed repetitions of each test.")] = 5,
    threads: Annotated[
        str | None, Option("-t", "--threads", help="Threads (default: one per physical core).", show_default=False)
    ] = None,
    device: Annotated[str, Option("--device", help="local, ssh://[user@]host[:port] or adb://[serial].")] = "local",
    cores: Annotated[
        list[str] | None,
        Option("--cores", help="Cluster of the board, all, or 0-3,6; may be repeated.", show_default=False),
    ] = None,
    library: Annotated[
        Path | None, Option("--library", help="Operator library for the board's platform.", show_default=False)
    ] = None,
    python: Annotated[str | None, Option("--python", help="Interpreter on the board.", show_default=False)] = None,
    power: Annotated[bool, Option("--power/--no-power", help="Measure energy where there is a sensor.")] = True,
    cool_down: Annotated[
        float | None,
        Option("--cool-down", help="Seconds to wait before a flagged row is measured once more.", show_default=False),
    ] = None,
    no_warmup: Annotated[bool, Option("--no-warmup", help="Do not run once untimed before.")] = False,
    output_format: Annotated[str, Option("--format", help="md, csv or json.")] = "md",
    output: Annotated[
        Path | None, Option("-o", "--output", help="Write to a file instead of stdout.", show_default=False)
    ] = None,
) -> None:
    """Measure a bundle's speed, latency, memory and energy, here or on a board."""
    from edgeq_devices.facts import model_facts
    from edgeq_devices.job import Job
    from edgeq_devices.results import Report
    from edgeq_devices.session import holder, open_session
    from edgeq_devices.tables import FORMATS

    if output_format not in FORMATS:
        raise EdgeqError("unknown format", field="--format", found=repr(output_format), wanted=" or ".join(FORMATS))
    if output is not None and not output.parent.is_dir():  # better said before the measurement than after it
        raise EdgeqError("no such directory", file=output.parent, field="--output")
    with progress_bars() as progress:
        opened, facts = model_facts(bundle)
        tests = _tests(facts, n_prompt, n_gen, depth)
        counts = _threads(threads, device)
        with open_session(device, python) as session:
            model = session.prepare(opened, library, progress)
            jobs = [
                Job(
                    model,
                    test,
                    count or _default_threads(session),
                    repetitions,
                    not no_warmup,
                    processors=session.processors(cluster),
                    holder=holder(),
                    idle_seconds=IDLE_SECONDS if power else 0.0,
                )
                for cluster in cores or ["all"]
                for count in counts
                for test in tests
            ]
            report = Report(facts, device, session.kind, ())
            try:
                for measured in _measure(session, jobs, cool_down, progress):
                    report = report.with_measurement(measured)
            finally:  # what was measured before an interrupt or a lost connection is not lost
                _print(report, output_format, output)


def _tests(facts: ModelFacts, n_prompt: str, n_gen: str, depth: str) -> list[Test]:
    from edgeq_devices.job import plan

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
    return tests


def _threads(text: str | None, device: str) -> list[int]:
    """Numbers of threads; 0 stands for the default of the machine that measures."""
    from edgeq.runtime.threads import check_threads

    if text is None:
        return [0]
    counts = parse_numbers(text, "-t")
    return [check_threads(count) if device == "local" or count < 1 else count for count in counts]


def _default_threads(session: Session) -> int:
    from edgeq.runtime.threads import default_threads

    return default_threads() if session.board.name == "local" else session.cores


def _measure(session: Session, jobs: list[Job], cool_down: float | None, progress: Progress) -> Iterator[Measurement]:
    for job in jobs:
        measured = _measure_once(session, job, progress)
        if measured.flags and cool_down is not None:
            time.sleep(cool_down)
            measured = _measure_once(session, job, progress)
        yield measured


def _measure_once(session: Session, job: Job, progress: Progress) -> Measurement:
    stage, done = job.name, 0
    progress(stage, 0, job.repetitions)

    def listen(event: dict[str, Any]) -> None:
        nonlocal done
        if event["event"] == "repetition":
            done += 1
            progress(stage, done, job.repetitions)

    return session.measure(job, listen)


def _print(report: Report, output_format: str, output: Path | None) -> None:
    from edgeq_devices.tables import FORMATS

    if not report.measurements:
        return
    text = FORMATS[output_format](report)
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EdgeqError("cannot write", file=output, found=error.strerror) from error
