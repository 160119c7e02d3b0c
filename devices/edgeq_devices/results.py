# SPDX-License-Identifier: Apache-2.0
"""What was measured, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from edgeq_devices.energy import Energy, phase_energy
from edgeq_devices.event_checks import frame_of
from edgeq_devices.events import (
    AnyEvent,
    Done,
    Idle,
    Loaded,
    Loads,
    Node,
    Operators,
    Power,
    Repetition,
    Rest,
    State,
    Trace,
)
from edgeq_devices.flags import find_flags
from edgeq_devices.job import Job
from edgeq_devices.memory import Memory
from edgeq_devices.power.source import Rails
from edgeq_devices.samples import Percentiles, Summary, rates
from edgeq_devices.traces import unpack_trace

Kind = TypeVar("Kind")


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
        hash: SHA-256 of its manifest, which holds those of its files.
    """

    name: str
    kind: str
    architecture: str
    parameters: int
    scheme: str
    bits_per_weight: float
    size: int
    context: int | None = None
    hash: str = ""


@dataclass(frozen=True)
class Measurement:
    """One test with one number of threads.

    Attributes:
        job: What was asked for.
        loaded: The model when it was loaded.
        repetitions: The timed runs.
        done: The process at its end.
        before: The machine before.
        after: The machine after, with what was seen in between.
        power: The power source; ``None`` if power was not asked for.
        idle: Energy of the idle machine, before and after.
        operators: Time of each node of the graph; empty unless asked for.
        trace: ONNX Runtime's trace as JSON; ``None`` unless asked for.
        notes: Reasons to distrust every row of the machine.
        attempts: How often it was measured; after the first, because of flags.
        loads: The load pattern for a meter in the supply; ``None`` without one.
        rests: When the machine was idle for it, before and after.
    """

    job: Job
    loaded: Loaded
    repetitions: tuple[Repetition, ...]
    done: Done
    before: State
    after: State
    power: Power | None = None
    idle: tuple[Idle, ...] = ()
    operators: tuple[Node, ...] = ()
    trace: bytes | None = None
    notes: tuple[str, ...] = ()
    attempts: int = 1
    loads: Loads | None = None
    rests: tuple[Rest, ...] = ()

    @classmethod
    def of(
        cls, job: Job, events: Sequence[AnyEvent], notes: tuple[str, ...] = (), device: str = "local"
    ) -> Measurement:
        """Collects the checked events of a job that ran to its end.

        Raises:
            EdgeqError: Together they make no measurement.
        """
        loaded, done, before, after = frame_of(job, events, device)
        power = next(iter(_all(Power, events)), None)
        nodes = tuple(node for found in _all(Operators, events) for node in found.nodes)
        packed = b"".join(piece.data for piece in _all(Trace, events))
        trace = unpack_trace(packed) if packed else None
        return cls(
            job,
            loaded,
            _all(Repetition, events),
            done,
            before,
            after,
            power,
            _all(Idle, events),
            nodes,
            trace,
            notes,
            loads=next(iter(_all(Loads, events)), None),
            rests=_all(Rest, events),
        )

    def with_rails(self, rails: Rails) -> Measurement:
        """With the energy of these rails; for what a board measured that did not know its own description."""
        if self.power is None or self.power.source is None:
            return self
        return replace(self, power=Power(source=rails.applied_to(self.power.source), reason=None))

    @property
    def samples_ns(self) -> tuple[int, ...]:
        """Nanoseconds of each repetition."""
        return tuple(repetition.ns for repetition in self.repetitions)

    @property
    def rate(self) -> Summary:
        """Tokens (encoders: sentences) per second."""
        return Summary.of(rates(self.samples_ns, self.job.test.work))

    @property
    def time(self) -> Summary:
        """Nanoseconds per repetition; of an encoder its latency."""
        return Summary.of(self.samples_ns)

    @property
    def first_token(self) -> Percentiles | None:
        """Nanoseconds to the first token: those of the prompt; ``None`` if the test has none."""
        if not self.job.test.prompt or self.job.test.encoder:
            return None
        return Percentiles.of([run.timing.prompt_end_ns - run.timing.start_ns for run in self.repetitions])

    @property
    def per_token(self) -> Percentiles | None:
        """Nanoseconds per generated token; ``None`` if the test generates none."""
        spans = [span for repetition in self.repetitions for span in repetition.timing.token_ns]
        return Percentiles.of(spans) if spans else None

    @property
    def memory_peak(self) -> Memory:
        """Largest of each kind of memory over the life of the process."""
        sampled = self.done.sampled_peak
        return self.done.peak.maximum(sampled) if sampled else self.done.peak

    @property
    def energy(self) -> Energy | None:
        """Joules per token of each phase; ``None`` without a sensor or with one that failed."""
        return phase_energy(self.job.test, self.loaded, self.repetitions, self.power, self.idle)

    @property
    def passing_flags(self) -> list[str]:
        """Reasons to distrust the row that may be gone when it is measured again."""
        return find_flags(self.before, self.after, self.done, self.repetitions, self.idle)

    @property
    def flags(self) -> list[str]:
        """Reasons to distrust the row."""
        return [*self.notes, *self.passing_flags]


def _all(kind: type[Kind], events: Sequence[object]) -> tuple[Kind, ...]:
    return tuple(event for event in events if isinstance(event, kind))
