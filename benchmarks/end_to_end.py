# SPDX-License-Identifier: Apache-2.0
"""Prompt and generation speed, load time and memory of an edgeq bundle beside onnxruntime-genai models.

    python -m onnxruntime_genai.models.builder -i CHECKPOINT -o genai-b32 -p int4 -e cpu -c /tmp/cache
    edgeq export CHECKPOINT --bits 4 -o bundle
    python benchmarks/end_to_end.py bundle --genai genai-b32 -p 512 -n 128 -r 5 -t 1,2

Every engine lives in a process of its own and runs one repetition when asked; the engines take turns, so that a busy
moment of the machine hits all of them. Medians are compared; a ratio above 1 means that edgeq is faster. All engines
get the same token ids. On a busy machine the processor time per token (one thread) says more than the clock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from edgeq.cli.ranges import parse_numbers
from edgeq_devices.conditions import read_conditions
from edgeq_devices.job import SEED, Job, Model, Test, plan
from edgeq_devices.measure import random_tokens, repetition, warm_up
from edgeq_devices.memory import read_memory
from edgeq_devices.tables import MIB, aligned_table

SPAWN = get_context("spawn")


def serve(job: Job, genai: bool, pipe: Connection) -> None:
    """The engine's process: loads the model, then runs a repetition for each request."""
    if genai:
        from genai_model import GenaiModel as Runner
    else:
        from edgeq_devices.local import DecoderModel as Runner  # type: ignore[assignment]
    before, start = read_memory(), time.perf_counter()
    model = Runner(job)
    seconds = time.perf_counter() - start
    tokens = random_tokens(job.test, model.vocabulary, job.seed)
    loaded = read_memory()
    warm_up(model, job.test, tokens)
    pipe.send((seconds, loaded.anonymous - before.anonymous))
    while pipe.recv():
        used = time.process_time()
        pipe.send((repetition(model, job.test, tokens).ns, time.process_time() - used))
    pipe.send(read_memory().anonymous)


@dataclass
class Engine:
    """One model in one process, measuring one test."""

    name: str
    job: Job
    genai: bool
    samples: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    load_seconds: float = 0.0
    load_anonymous: int = 0
    final_anonymous: int = 0

    def start(self) -> None:
        """Loads the model and warms it up."""
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=serve, args=(self.job, self.genai, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is seen as the end of the pipe
        self.load_seconds, self.load_anonymous = self._pipe.recv()

    def repeat(self) -> None:
        """One repetition; its tokens per second and its processor time become samples."""
        self._pipe.send(True)
        nanoseconds, processor_seconds = self._pipe.recv()
        self.samples.append(self.job.test.work * 1e9 / nanoseconds)
        self.processor_seconds.append(processor_seconds)

    def stop(self) -> None:
        """Ends the process."""
        self._pipe.send(False)
        self.final_anonymous = self._pipe.recv()
        self._process.join()

    @property
    def median(self) -> float:
        """Tokens per second."""
        return statistics.median(self.samples)

    @property
    def processor_milliseconds(self) -> float:
        """Processor time per token: the filling to a depth included, waiting for a busy processor not."""
        return 1000 * statistics.median(self.processor_seconds) / self.job.test.work


def measure(arguments: argparse.Namespace) -> Iterator[list[Engine]]:
    """The engines of each test and number of threads, measured; edgeq's comes first."""
    tests = plan(parse_numbers(arguments.p, "-p"), parse_numbers(arguments.n, "-n"), [0], encoder=False)
    for threads in parse_numbers(arguments.t, "-t"):
        for test in tests:
            engines = [engine_of(arguments.bundle, test, threads, genai=False)]
            engines += [engine_of(path, test, threads, genai=True) for path in arguments.genai]
            for engine in engines:
                engine.start()
            for number in range(arguments.r):
                print(f"{test.name}, {threads} threads: {number + 1}/{arguments.r}", file=sys.stderr)
                for engine in engines:
                    engine.repeat()
            for engine in engines:
                engine.stop()
            yield engines


def engine_of(path: Path, test: Test, threads: int, *, genai: bool) -> Engine:
    return Engine(path.name, Job(Model(str(path)), test, threads, seed=SEED), genai)


def rows(engines: list[Engine]) -> Iterator[list[str]]:
    """A row per engine."""
    first = engines[0]
    for engine in engines:
        spread = f"{min(engine.samples):.2f} to {max(engine.samples):.2f}"
        yield [
            engine.name,
            engine.job.test.name,
            str(engine.job.threads),
            f"{engine.median:.2f}",
            spread,
            "" if engine is first else f"{first.median / engine.median:.2f}",
            f"{engine.processor_milliseconds:.2f}",
            f"{engine.load_seconds:.2f}",
            f"{engine.load_anonymous / MIB:.0f}",
            f"{engine.final_anonymous / MIB:.0f}",
        ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument(
        "--genai", type=Path, nargs="*", default=[], help="directories made by onnxruntime-genai's builder"
    )
    parser.add_argument("-p", default="512", help="prompt lengths")
    parser.add_argument("-n", default="128", help="generation lengths")
    parser.add_argument("-r", type=int, default=5, help="repetitions")
    parser.add_argument("-t", default="1,2", help="threads")
    parser.add_argument("--json", type=Path, help="write all samples here")
    return parser.parse_args()


def main() -> None:
    arguments, conditions = parse_arguments(), read_conditions()
    groups = list(measure(arguments))
    headers = [
        "model",
        "test",
        "threads",
        "t/s",
        "range",
        "edgeq/this",
        "CPU ms/token",
        "load s",
        "load anon MiB",
        "final anon MiB",
    ]
    print(aligned_table(headers, [row for engines in groups for row in rows(engines)]), end="")
    versions = ", ".join(f"{name} {version}" for name, version in conditions.versions.items())
    print(f"\n{conditions.cpu}, {conditions.processors} processors; load before {conditions.load_average}; {versions}")
    if arguments.json:
        samples = [
            {
                "model": engine.name,
                "test": engine.job.test.name,
                "threads": engine.job.threads,
                "samples_ts": engine.samples,
                "processor_seconds": engine.processor_seconds,
            }
            for engines in groups
            for engine in engines
        ]
        arguments.json.write_text(json.dumps(samples, indent=1))


if __name__ == "__main__":
    main()
