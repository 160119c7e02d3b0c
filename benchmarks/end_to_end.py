# SPDX-License-Identifier: Apache-2.0
"""Prompt and generation speed, load time and memory of edgeq bundles beside onnxruntime-genai and llama.cpp.

    python benchmarks/make_random_llama.py CHECKPOINT        # TinyLlama-1.1B's shapes; Qwen2.5-0.5B's are
        # --hidden 896 --layers 24 --heads 14 --kv-heads 2 --ffn 4864 --vocab 151936 --tied
    edgeq export CHECKPOINT --bits 4 --quality fast -o w4g128
    python -m onnxruntime_genai.models.builder -i CHECKPOINT -o genai-b32 -p int4 -e cpu -c /tmp/cache
    python benchmarks/make_gguf.py CHECKPOINT -o gguf
    python benchmarks/end_to_end.py w4g128 w4g128+huge-pages genai-b32 gguf/Q4_K_S.gguf -p 512 -n 128 -r 5 -t 1,2

The first model is what the others are compared with; a ratio above 1 means that it is faster. Encoders (all of them
bundles: quantized, fp32, --portable) take -p as the length of a sentence. Every model lives in a process of its own and
runs one repetition when asked; they take turns, so that a busy moment of the machine hits all of them. Medians are
compared. All get the same token ids. On a busy machine the processor time per token (one thread) says more than the
clock.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from engines import Engine, is_encoder

from edgeq.cli.ranges import parse_numbers
from edgeq_devices.conditions import read_conditions
from edgeq_devices.job import plan
from edgeq_devices.tables import MIB, aligned_table

HEADERS = [
    "model",
    "test",
    "threads",
    "t/s",
    "range",
    "first/this",
    "CPU ms/token",
    "load s",
    "load anon MiB",
    "final anon MiB",
]


def measure(arguments: argparse.Namespace) -> Iterator[list[Engine]]:
    """The engines of each test and number of threads, measured, in the order of the command line."""
    encoder = is_encoder(arguments.models[0])
    depths = parse_numbers(arguments.d, "-d")
    tests = plan(parse_numbers(arguments.p, "-p"), parse_numbers(arguments.n, "-n"), depths, encoder=encoder)
    for threads in parse_numbers(arguments.t, "-t"):
        for test in tests:
            engines = [Engine(path, test, threads) for path in arguments.models]
            for engine in engines:
                engine.start()
            for number in range(arguments.r):
                print(f"{test.name}, {threads} threads: {number + 1}/{arguments.r}", file=sys.stderr)
                for engine in engines:
                    engine.repeat()
            for engine in engines:
                engine.stop()
            yield engines


def rows(engines: list[Engine]) -> Iterator[list[str]]:
    """A row per engine."""
    first = engines[0]
    for engine in engines:
        spread = f"{min(engine.samples):.2f} to {max(engine.samples):.2f}"
        yield [
            engine.name,
            engine.test.name,
            str(engine.threads),
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
    parser.add_argument(
        "models",
        type=Path,
        nargs="+",
        help="bundles (BUNDLE+huge-pages: their weights copied there), directories of genai's builder, GGUF files",
    )
    parser.add_argument("-p", default="512", help="prompt lengths")
    parser.add_argument("-n", default="128", help="generation lengths")
    parser.add_argument("-d", default="0", help="tokens already in the context")
    parser.add_argument("-r", type=int, default=5, help="repetitions")
    parser.add_argument("-t", default="1,2", help="threads")
    parser.add_argument("--json", type=Path, help="write all samples here")
    return parser.parse_args()


def main() -> None:
    arguments, conditions = parse_arguments(), read_conditions()
    groups = list(measure(arguments))
    print(aligned_table(HEADERS, [row for engines in groups for row in rows(engines)]), end="")
    versions = ", ".join(f"{name} {version}" for name, version in conditions.versions.items())
    print(f"\n{conditions.cpu}, {conditions.processors} processors; load before {conditions.load_average}; {versions}")
    if arguments.json:
        samples = [engine.to_dict() for engines in groups for engine in engines]
        arguments.json.write_text(json.dumps(samples, indent=1))


if __name__ == "__main__":
    main()
