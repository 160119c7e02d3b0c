# SPDX-License-Identifier: Apache-2.0
"""Models of several runtimes, each in a process of its own that runs one repetition when asked."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edgeq.bundle.manifest import MANIFEST_NAME
from edgeq_devices.job import SEED, Job, Test
from edgeq_devices.measure import random_tokens, repetition, warm_up
from edgeq_devices.memory import read_memory

SPAWN = get_context("spawn")
PAUSE = 0.2  # seconds for the threads of the engine before to stop spinning


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
    manifest = path / MANIFEST_NAME
    return manifest.is_file() and bool(json.loads(manifest.read_text(encoding="utf-8"))["kind"] == "encoder")


def open_model(runtime: str, job: Job) -> Any:
    """The model behind `edgeq_devices.measure.Model`; a runtime that is not asked for need not be installed."""
    if runtime == "genai":
        from genai_model import GenaiModel

        return GenaiModel(job)
    if runtime == "llama.cpp":
        from llama_cpp_model import LlamaCppModel

        return LlamaCppModel(job)
    from edgeq_devices.local import load

    return load(job)


def serve(job: Job, runtime: str, pipe: Connection) -> None:
    """The engine's process: loads the model, then runs a repetition for each request."""
    before, start = read_memory(), time.perf_counter()
    model = open_model(runtime, job)
    seconds = time.perf_counter() - start
    tokens = random_tokens(job.test, model.vocabulary, job.seed)
    loaded = read_memory()
    warm_up(model, job.test, tokens)
    pipe.send((seconds, loaded.anonymous - before.anonymous))
    while pipe.recv():
        used = time.process_time()
        pipe.send((repetition(model, job.test, tokens), time.process_time() - used))
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
        runtime = runtime_of(self.path)
        return self.path.name if runtime == "edgeq" else f"{runtime} {self.path.stem}"

    def start(self) -> None:
        """Loads the model and warms it up."""
        self._pipe, theirs = SPAWN.Pipe()
        job = Job(str(self.path), self.test, self.threads, seed=SEED)
        self._process = SPAWN.Process(target=serve, args=(job, runtime_of(self.path), theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is seen as the end of the pipe
        self.load_seconds, self.load_anonymous = self._pipe.recv()

    def repeat(self) -> None:
        """One repetition; its tokens per second and its processor time become samples."""
        time.sleep(PAUSE)
        self._pipe.send(True)
        nanoseconds, processor_seconds = self._pipe.recv()
        self.samples.append(self.test.work * 1e9 / nanoseconds)
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
