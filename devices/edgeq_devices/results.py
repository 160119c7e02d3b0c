# SPDX-License-Identifier: Apache-2.0
"""What was measured, and on what. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgeq_devices.conditions import Conditions
from edgeq_devices.job import Job
from edgeq_devices.memory import Memory
from edgeq_devices.samples import Summary, rates

OTHER_LOAD_LIMIT = 0.05
"""Share of the machine that other processes may use before a row is flagged."""


@dataclass(frozen=True)
class ModelFacts:
    """The bundle, as far as its manifest and files tell.

    Attributes:
        name: Name of the bundle's directory.
        kind: ``decoder`` or ``encoder``.
        architecture: Of the source model.
        parameters: Of the source model.
        scheme: Default scheme of the export.
        bits_per_weight: As stored, scales included.
        size: Bytes of all files.
        context: Tokens that a decoder can hold; ``None`` for other models.
    """

    name: str
    kind: str
    architecture: str
    parameters: int
    scheme: str
    bits_per_weight: float
    size: int
    context: int | None = None


@dataclass(frozen=True)
class Measurement:
    """One test with one number of threads.

    Attributes:
        job: What was asked for.
        samples_ns: Nanoseconds of each repetition.
        load_ns: Nanoseconds from opening the bundle to a session that is ready to run.
        memory_before: Of the process before loading: interpreter and libraries.
        memory_loaded: After loading, before the first run.
        memory_peak: Maxima over the life of the process.
        instruction_set: Of edgeq's kernels; ``None`` if none ran.
        other_processors: Processors that other processes kept busy meanwhile, on average; ``None`` if unknown.
    """

    job: Job
    samples_ns: tuple[int, ...]
    load_ns: int
    memory_before: Memory
    memory_loaded: Memory
    memory_peak: Memory
    instruction_set: str | None
    other_processors: float | None

    @property
    def rate(self) -> Summary:
        """Tokens (encoders: sentences) per second."""
        return Summary.of(rates(self.samples_ns, self.job.test.work))

    @property
    def time(self) -> Summary:
        """Nanoseconds per repetition; of an encoder its latency."""
        return Summary.of(self.samples_ns)

    def flags(self, processors: int | None) -> list[str]:
        """Reasons to distrust the row, on a machine with that many processors."""
        if self.other_processors is None or self.other_processors <= OTHER_LOAD_LIMIT * (processors or 1):
            return []
        return [f"other processes kept {self.other_processors:.2f} of {processors or '?'} processors busy"]


@dataclass(frozen=True)
class Report:
    """A model, the machine, and what was measured."""

    model: ModelFacts
    conditions: Conditions
    measurements: list[Measurement]

    def rows(self) -> list[dict[str, Any]]:
        """One flat dictionary per measurement; names shared with llama-bench mean the same here."""
        return [self._row(measurement) for measurement in self.measurements]

    def to_json(self) -> dict[str, Any]:
        """The whole report."""
        return {"model": asdict(self.model), "conditions": asdict(self.conditions), "results": self.rows()}

    def _row(self, measured: Measurement) -> dict[str, Any]:
        job, test, model = measured.job, measured.job.test, self.model
        return {
            "model_filename": job.bundle,
            "model_type": f"{model.architecture} {model.scheme}",
            "model_size": model.size,
            "model_n_params": model.parameters,
            "bits_per_weight": model.bits_per_weight,
            "cpu_info": self.conditions.cpu,
            "instruction_set": measured.instruction_set,
            "n_threads": job.threads,
            "test": test.name,
            "n_prompt": test.prompt,
            "n_gen": test.generate,
            "n_depth": test.depth,
            "test_time": self.conditions.time,
            "avg_ns": measured.time.mean,
            "stddev_ns": measured.time.deviation,
            "unit": test.unit,
            "avg_ts": measured.rate.mean,
            "stddev_ts": measured.rate.deviation,
            "load_ns": measured.load_ns,
            "load_anonymous": measured.memory_loaded.anonymous - measured.memory_before.anonymous,
            "peak_resident": measured.memory_peak.peak,
            "peak_anonymous": measured.memory_peak.anonymous,
            "peak_file_backed": measured.memory_peak.file_backed,
            "other_processors": measured.other_processors,
            "flags": measured.flags(self.conditions.processors),
            "warmup": job.warmup,
            "seed": job.seed,
            "samples_ns": list(measured.samples_ns),
            "samples_ts": rates(measured.samples_ns, test.work),
        }
