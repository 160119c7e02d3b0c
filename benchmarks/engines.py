# SPDX-License-Identifier: Apache-2.0
"""Models of several runtimes, each in a process of its own that runs one repetition when asked."""

from __future__ import annotations

import json
import os
import statistics
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeq.bundle.manifest import MANIFEST_NAME
from edgeq_devices.job import Test
from edgeq_devices.memory import read_memory

SPAWN = get_context("spawn")
SEED = 0
HUGE_PAGES = "+huge-pages"
PAUSE = 0.2  # seconds for the threads of the engine before to stop spinning


def without_option(path: Path) -> Path:
    """The model's file or directory: ``w4g128+huge-pages`` is the bundle ``w4g128`` with its weights in huge pages."""
    return path.with_name(path.name.removesuffix(HUGE_PAGES))


def runtime_of(path: Path) -> str:
    """Which runtime a model is for.

    Raises:
        SystemExit: For none of those known.
    """
    if path.suffix == ".gguf":
        return "llama.cpp"
    if (path / MANIFEST_NAME).is_file():
        return "edgeq"
    if (path / "genai_config.json").is_file():
        return "genai"
    raise SystemExit(f"{path}: neither a bundle of edgeq, nor a directory of onnxruntime-genai, nor a GGUF file")


def is_encoder(path: Path) -> bool:
    """Whether it is a bundle of an encoder."""
    manifest = without_option(path) / MANIFEST_NAME
    return manifest.is_file() and bool(json.loads(manifest.read_text(encoding="utf-8"))["kind"] == "encoder")


class Model(Protocol):
    """A loaded model, one sequence at a time.

    Attributes:
        vocabulary: Number of token ids.
    """

    vocabulary: int

    def reset(self) -> None:
        """Empties the context."""

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Processes tokens after those in the context; an encoder takes them as one sentence."""


def open_model(path: Path, context: int, threads: int) -> Model:
    """The model with room for ``context`` tokens; a runtime that is not asked for need not be installed."""
    match runtime_of(path):
        case "genai":
            from genai_model import GenaiModel

            return GenaiModel(path, context, threads)
        case "llama.cpp":
            from llama_cpp_model import LlamaCppModel

            return LlamaCppModel(path, context, threads)
    from edgeq_model import EdgeqDecoder, EdgeqEncoder

    return (EdgeqEncoder if is_encoder(path) else EdgeqDecoder)(path, context, threads)


def run_once(model: Model, test: Test, tokens: NDArray[np.int64], generate: int) -> float:
    """Runs a test once with so many generated tokens; the seconds it took without the filling to its depth."""
    depth, prompt, generated = np.split(tokens, [test.depth, test.depth + test.prompt])
    model.reset()
    if depth.size:
        model.advance(depth)
    start = time.perf_counter()
    if prompt.size:
        model.advance(prompt)
    for position in range(generate):
        model.advance(generated[position : position + 1])
    return time.perf_counter() - start


def serve(path: Path, test: Test, threads: int, pipe: Connection) -> None:
    """The engine's process: loads the model, then runs a repetition for each request."""
    if path.name.endswith(HUGE_PAGES):
        os.environ["EDGEQ_WEIGHTS"] = HUGE_PAGES.removeprefix("+")
    before, start = read_memory(), time.perf_counter()
    model = open_model(without_option(path), test.context, threads)
    seconds = time.perf_counter() - start
    tokens = np.random.default_rng(SEED).integers(0, model.vocabulary, test.context, dtype=np.int64)
    loaded = read_memory()
    run_once(model, test, tokens, min(1, test.generate))  # a warm-up
    pipe.send((seconds, loaded.anonymous - before.anonymous))
    while pipe.recv():
        used = time.process_time()
        pipe.send((run_once(model, test, tokens, test.generate), time.process_time() - used))
    pipe.send(read_memory().anonymous)


@dataclass
class Engine:
    """One model in one process, measuring one test."""

    path: Path
    test: Test
    threads: int
    samples: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    load_seconds: float = 0.0
    load_anonymous: int = 0
    final_anonymous: int = 0

    @property
    def name(self) -> str:
        """Runtime and file, as the table shows them."""
        runtime = runtime_of(without_option(self.path))
        return self.path.name if runtime == "edgeq" else f"{runtime} {self.path.stem}"

    def start(self) -> None:
        """Loads the model and warms it up."""
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=serve, args=(self.path, self.test, self.threads, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is seen as the end of the pipe
        self.load_seconds, self.load_anonymous = self._pipe.recv()

    def repeat(self) -> None:
        """One repetition; its tokens per second and its processor time become samples."""
        time.sleep(PAUSE)
        self._pipe.send(True)
        seconds, processor_seconds = self._pipe.recv()
        self.samples.append(self.test.work / seconds)
        self.processor_seconds.append(processor_seconds)

    def stop(self) -> None:
        """Ends the process."""
        self._pipe.send(False)
        self.final_anonymous = self._pipe.recv()
        self._process.join()

    @property
    def median(self) -> float:
        """Tokens (an encoder: sentences) per second."""
        return statistics.median(self.samples)

    @property
    def processor_milliseconds(self) -> float:
        """Processor time per token: the filling to a depth included, waiting for a busy processor not."""
        return 1000 * statistics.median(self.processor_seconds) / self.test.work

    def to_dict(self) -> dict[str, Any]:
        """All samples, as JSON values."""
        return {
            "model": self.name,
            "test": self.test.name,
            "threads": self.threads,
            "samples_ts": self.samples,
            "processor_seconds": self.processor_seconds,
        }
