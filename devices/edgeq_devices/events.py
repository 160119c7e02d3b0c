# SPDX-License-Identifier: Apache-2.0
"""The agent's events as the host takes them: every field checked, for a board is not to be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from edgeq.errors import EdgeqError
from edgeq_devices.agent.monitor import Extremes
from edgeq_devices.answers import printable
from edgeq_devices.conditions import Conditions
from edgeq_devices.measure import Timing
from edgeq_devices.memory import Memory
from edgeq_devices.power.source import Description
from edgeq_devices.power.window import Window
from edgeq_devices.throttle import Throttling

Finite = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Loaded(_Event):
    """The model is ready to run.

    Attributes:
        load_ns: From opening the bundle to a session that is ready.
        before: Memory of the process before loading: interpreter and libraries.
        after: After loading, before the first run.
        instruction_set: Of edgeq's kernels; ``None`` if none run.
        hashes: SHA-256 of the programs that ran it (:func:`edgeq_devices.agent.hashes.program_hashes`).
        start_ns: When loading began, in nanoseconds of the machine's monotonic clock; ``None`` from older agents.
        end_ns: When it ended.
        energy: That it took; ``None`` without a sensor.
    """

    event: Literal["loaded"] = "loaded"
    load_ns: Count
    before: Memory
    after: Memory
    instruction_set: str | None = None
    hashes: dict[str, Sha256] = {}
    start_ns: Count | None = None
    end_ns: Count | None = None
    energy: Window | None = None


class PhaseEnergy(_Event):
    """Energy while the prompt was processed and while tokens were generated."""

    prompt: Window
    generate: Window


class Repetition(_Event):
    """One timed run of the test.

    Attributes:
        ns: What it took.
        timing: When each part ended.
        energy: Of its phases; ``None`` without a sensor.
    """

    event: Literal["repetition"] = "repetition"
    timing: Timing
    energy: PhaseEnergy | None = None

    @property
    def ns(self) -> int:
        """What it took."""
        return self.timing.ns


class Done(_Event):
    """All repetitions have run.

    Attributes:
        peak: Largest memory of the process.
        sampled_peak: The same, of anonymous and file-backed memory sampled from outside.
        other_processors: Processors that others kept busy meanwhile, on average; ``None`` if unknown.
    """

    event: Literal["done"] = "done"
    peak: Memory
    sampled_peak: Memory | None = None
    other_processors: NonNegative | None = None


class Node(_Event):
    """Calls of one node of the graph, and the microseconds that they took together."""

    node: str
    op: str
    calls: Count
    us: Count


class Operators(_Event):
    """Time per node of the graph."""

    event: Literal["operators"] = "operators"
    nodes: tuple[Node, ...]


class Trace(_Event):
    """A piece of ONNX Runtime's trace, compressed with zlib."""

    event: Literal["trace"] = "trace"
    data: Base64Bytes


class Power(_Event):
    """The power source; or why there is none."""

    event: Literal["power"] = "power"
    source: Description | None
    reason: str | None


class Idle(_Event):
    """Energy of the idle machine, before or after."""

    event: Literal["idle"] = "idle"
    window: Window


class Loads(_Event):
    """The load pattern for a meter in the supply: start and end of each load on the monotonic clock."""

    event: Literal["loads"] = "loads"
    spans: tuple[tuple[Count, Count], ...]


class Rest(_Event):
    """When the machine was left idle, before or after, for a meter in the supply."""

    event: Literal["rest"] = "rest"
    start_ns: Count
    end_ns: Count


class Series(_Event):
    """The machine over time, sampled while the repetitions ran; lists of equal length."""

    time_ns: list[Count]
    temperature: list[Finite | None]
    clock: list[Count | None]
    watts: list[NonNegative | None]

    @model_validator(mode="after")
    def _check(self) -> Series:
        if len({len(self.time_ns), len(self.temperature), len(self.clock), len(self.watts)}) != 1:
            raise ValueError("lists of different lengths")
        return self


class State(_Event):
    """The machine before or after; after, also what was seen in between."""

    event: Literal["conditions"] = "conditions"
    when: Literal["before", "after"]
    state: Conditions
    throttling: Throttling
    extremes: Extremes | None = None
    series: Series | None = None


AnyEvent: TypeAlias = Loaded | Repetition | Operators | Trace | Done | Power | Idle | Loads | Rest | State
_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="event")])


def parse_events(events: Sequence[Mapping[str, Any]], device: str) -> list[AnyEvent]:
    """Checks what the agent sent.

    Raises:
        EdgeqError: A field is missing, unknown, or of another type or size.
    """
    try:
        return [_ADAPTER.validate_python(event) for event in events]
    except ValidationError as error:
        first = error.errors()[0]
        field = printable(".".join(map(str, first["loc"])))
        found = printable(repr(first["input"]))[:80]
        raise EdgeqError(
            f"wrong event from the board ({first['msg']})", field=f"{device}: {field}", found=found
        ) from error
