# SPDX-License-Identifier: Apache-2.0
"""Measuring without a host: ``python3 profile.pyz profile BUNDLE > result.json`` on the board itself.

What it prints are the agent's events, unjudged; ``edgeq report`` and ``edgeq compare`` check them and make rows.
"""

from __future__ import annotations

import argparse
import getpass
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeq.errors import EdgeqError
from edgeq_devices.agent.bundle import read_bundle
from edgeq_devices.agent.identity import describe
from edgeq_devices.agent.lock import SHARED_LOCK
from edgeq_devices.agent.supervisor import supervise_job
from edgeq_devices.conditions import parse_processors
from edgeq_devices.job import Job, Model, plan

FORMAT = 1
"""Of the document; changes when older readers would misunderstand it."""
IDLE_SECONDS = 2.0
_LIST = "; several with commas"


def profile(root: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """Measures a bundle as the arguments say; the document.

    Raises:
        EdgeqError: The bundle is damaged, or a test failed; on stderr it says which.
    """
    options = _parser().parse_args(arguments)
    model, facts = read_bundle(options.bundle, options.library)
    board = describe(root)
    jobs = _jobs(options, model, board, facts["kind"] == "encoder")
    measurements = [{"job": asdict(job), "events": _measure(root, job)} for job in jobs]
    return {
        "edgeq_events": FORMAT,
        "model": facts,
        "device": options.name,
        "board": board,
        "measurements": measurements,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="profile.pyz profile", description=__doc__)
    parser.add_argument("bundle", type=Path, help="bundle directory")
    parser.add_argument("-p", "--n-prompt", type=_numbers, default=[512], help=f"prompt tokens{_LIST}; 0 for none")
    parser.add_argument("-n", "--n-gen", type=_numbers, default=[128], help=f"tokens to generate{_LIST}; 0 for none")
    parser.add_argument("-d", "--depth", type=_numbers, default=[0], help=f"tokens in the context before{_LIST}")
    parser.add_argument("-r", "--repetitions", type=int, default=5, help="timed repetitions of each test")
    parser.add_argument("-t", "--threads", type=_numbers, help=f"threads{_LIST}; default: one per physical core")
    parser.add_argument("--cores", default="all", help="little, big, all, or numbers such as 0-3")
    parser.add_argument("--library", type=Path, help="operator library instead of the bundle's")
    parser.add_argument("--no-power", action="store_true", help="leave energy out")
    parser.add_argument("--name", default=platform.node() or "board", help="what the report calls this board")
    return parser


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 0:
        raise ValueError(text)
    return numbers


def _jobs(options: argparse.Namespace, model: Model, board: dict[str, Any], encoder: bool) -> Iterator[Job]:
    processors = _processors(options.cores, board["clusters"])
    for threads in options.threads or [len(processors) or board["cores"]]:
        for test in plan(options.n_prompt, options.n_gen, options.depth, encoder=encoder):
            test.check_fits(model.context)
            yield Job(
                model,
                test,
                threads,
                options.repetitions,
                processors=processors,
                holder=f"{getpass.getuser()}@{platform.node()}",
                idle_seconds=0.0 if options.no_power else IDLE_SECONDS,
                lock=SHARED_LOCK,
            )


def _processors(cores: str, clusters: dict[str, list[int]]) -> tuple[int, ...]:
    if cores == "all":
        return ()
    found = tuple(clusters.get(cores, ())) or parse_processors(cores)
    if not found:
        wanted = ", ".join(["all", *clusters, "or numbers such as 0-3"])
        raise EdgeqError("no such cluster", field="--cores", found=repr(cores), wanted=wanted)
    return found


def _measure(root: Path, job: Job) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    sys.stderr.write(f"{job.name}\n")
    supervise_job(root, job, events.append)
    for event in events:
        if event["event"] == "error":
            raise EdgeqError(event["message"])
        if event["event"] == "ended":
            raise EdgeqError("the measuring process ended without a result", field=job.name, found=event["code"])
    return events


def main(root: Path, arguments: Sequence[str]) -> None:
    """Prints the document."""
    document = profile(root, arguments)
    json.dump(document, sys.stdout)
    sys.stdout.write("\n")
