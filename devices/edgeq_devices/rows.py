# SPDX-License-Identifier: Apache-2.0
"""A report as flat dictionaries, one for each measurement; names shared with llama-bench mean the same here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from edgeq_devices.conditions import Conditions
from edgeq_devices.results import Measurement, ModelFacts
from edgeq_devices.samples import rates


@dataclass(frozen=True)
class Report:
    """A model, the machine, and what was measured.

    Attributes:
        model: The bundle.
        device: The machine, as ``--device`` names it.
        board: Name of the board's description.
        measurements: Its rows.
    """

    model: ModelFacts
    device: str
    board: str
    measurements: tuple[Measurement, ...]

    @property
    def conditions(self) -> Conditions | None:
        """The machine before the first row."""
        return self.measurements[0].before.state if self.measurements else None

    def with_measurement(self, measurement: Measurement) -> Report:
        """The report with one row more."""
        return replace(self, measurements=(*self.measurements, measurement))

    def rows(self) -> list[dict[str, Any]]:
        """One flat dictionary per measurement; names shared with llama-bench mean the same here."""
        return [row_of(self, measurement) for measurement in self.measurements]

    def to_json(self) -> dict[str, Any]:
        """The whole report."""
        conditions = asdict(self.conditions) if self.conditions else None
        return {
            "model": asdict(self.model),
            "device": self.device,
            "board": self.board,
            "conditions": conditions,
            "results": self.rows(),
        }


def row_of(report: Report, measured: Measurement) -> dict[str, Any]:
    """The row of a report's measurement."""
    return {
        **_model(report.model),
        "device": report.device,
        "board": report.board,
        **_test(measured),
        **_speed(measured),
        **_memory(measured),
        **_energy(measured),
        **_circumstances(measured),
        "operators": [node.model_dump(exclude={"event"}) for node in measured.operators],
        "sustained": _sustained(measured) if measured.job.sustain_seconds else None,
        "samples_ns": list(measured.samples_ns),
        "samples_ts": rates(measured.samples_ns, measured.job.test.work),
    }


def _model(model: ModelFacts) -> dict[str, Any]:
    return {
        "model_filename": model.name,
        "model_type": f"{model.architecture} {model.scheme}",
        "model_size": model.size,
        "model_n_params": model.parameters,
        "model_sha256": model.hash,
        "bits_per_weight": model.bits_per_weight,
    }


def _test(measured: Measurement) -> dict[str, Any]:
    """What was run, and where on the machine."""
    job, test, state = measured.job, measured.job.test, measured.before.state
    return {
        "cpu_info": state.cpu,
        "instruction_set": measured.loaded.instruction_set,
        "n_threads": job.threads,
        "cpu_mask": list(job.processors),
        "test": test.name,
        "n_prompt": test.prompt,
        "n_gen": test.generate,
        "n_depth": test.depth,
        "test_time": state.time,
    }


def _speed(measured: Measurement) -> dict[str, Any]:
    first, per_token = measured.first_token, measured.per_token
    return {
        "avg_ns": measured.time.mean,
        "stddev_ns": measured.time.deviation,
        "unit": measured.job.test.unit,
        "avg_ts": measured.rate.mean,
        "stddev_ts": measured.rate.deviation,
        **(first.as_fields("ttft") if first else {}),
        **(per_token.as_fields("tpot") if per_token else {}),
        "load_ns": measured.loaded.load_ns,
    }


def _memory(measured: Measurement) -> dict[str, Any]:
    return {
        "load_anonymous": measured.loaded.after.anonymous - measured.loaded.before.anonymous,
        "peak_resident": measured.memory_peak.peak,
        "peak_anonymous": measured.memory_peak.anonymous,
        "peak_file_backed": measured.memory_peak.file_backed,
    }


def _energy(measured: Measurement) -> dict[str, Any]:
    energy = measured.energy
    return {
        "energy": asdict(energy) if energy else None,
        "energy_missing": measured.power.reason if measured.power and not measured.power.source else None,
    }


def _circumstances(measured: Measurement) -> dict[str, Any]:
    """Reasons to trust the row or not, and what is needed to measure it again."""
    return {
        "other_processors": measured.done.other_processors,
        "flags": measured.flags,
        "attempts": measured.attempts,
        "sha256": measured.loaded.hashes,
        "warmup": measured.job.warmup,
        "seed": measured.job.seed,
        "conditions": {"before": asdict(measured.before.state), "after": asdict(measured.after.state)},
        "extremes": asdict(measured.after.extremes) if measured.after.extremes else None,
    }


def _sustained(measured: Measurement) -> dict[str, Any]:
    """Rates and the machine's state over the seconds of a sustained run."""
    start = measured.repetitions[0].timing.start_ns
    ends = [repetition.timing.end_ns for repetition in measured.repetitions]
    series = measured.after.series
    return {
        "seconds": [(end - start) / 1e9 for end in ends],
        "ts": rates(measured.samples_ns, measured.job.test.work),
        "machine_seconds": [(time - start) / 1e9 for time in series.time_ns] if series else [],
        "temperature": series.temperature if series else [],
        "clock": series.clock if series else [],
        "watts": series.watts if series else [],
    }
