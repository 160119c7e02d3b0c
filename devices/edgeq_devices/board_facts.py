# SPDX-License-Identifier: Apache-2.0
"""What a board says about itself (:mod:`edgeq_devices.agent.identity`), every field checked."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edgeq.errors import EdgeqError
from edgeq_devices.answers import printable
from edgeq_devices.power.source import Rails

Text = Annotated[str, AfterValidator(printable)]
Machine = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,32}$")]
Bytes = Annotated[int, Field(ge=0)]

_FAMILIES = {"armv7l": "aarch64", "armv8l": "aarch64", "i686": "x86_64"}


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RailFact(_Facts):
    """A rail of a power source; see :class:`edgeq_devices.power.source.Rail`."""

    name: Text
    counted: bool


class SourceFact(_Facts):
    """A readable power source; ``rate`` in samples per second, the rest as its description has it."""

    name: Text
    rails: Annotated[tuple[RailFact, ...], Field(max_length=256)]
    leaves_out: Text
    uncertainty: Text
    rate: float

    def with_rails(self, rails: Rails) -> SourceFact:
        """As :meth:`edgeq_devices.power.source.Rails.applied_to`."""
        if not set(rails.names) <= {rail.name for rail in self.rails}:
            return self
        counted = tuple(RailFact(name=rail.name, counted=rail.name in rails.names) for rail in self.rails)
        return self.model_copy(update={"rails": counted, "leaves_out": rails.leaves_out})


class MissingFact(_Facts):
    """A power source that cannot be read, why, and the command that mends it."""

    name: Text
    reason: Text
    remedy: Text | None


class BoardFacts(_Facts):
    """A board's account of itself.

    Attributes:
        protocol: Of its agent.
        system: ``Android``, or as ``uname -s`` tells it.
        machine: As ``uname -m`` tells it.
        program_machine: Machine that its kernel runs programs of; another one if it is emulated.
        model: ``/proc/device-tree/model``.
        cpu: Processor model.
        features: Instruction-set features that every core has.
        cores: Physical cores that are online.
        clusters: Processors by kind of core, where there are several kinds.
        libc: Name and version of its C library.
        python: Version of the interpreter that answered.
        libraries: Versions of what runs a model.
        memory: Bytes.
        disk_free: Bytes, where edgeq's files lie.
        power: Power sources that can be read, the most trusted first.
        missing_power: Those that exist and cannot.
        throttling: Interfaces that report throttling.
        operators: Path of the library that ``edgeq devices setup`` left there.
    """

    protocol: int
    system: Text
    machine: Machine
    program_machine: Machine | None
    model: Text | None
    cpu: Text | None
    features: tuple[Text, ...]
    cores: Annotated[int, Field(ge=1, le=4096)]
    clusters: dict[Text, tuple[Annotated[int, Field(ge=0, le=4096)], ...]]
    libc: Annotated[str, Field(pattern=r"^[A-Za-z]+ [0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?$")] | None
    python: Annotated[str, Field(pattern=r"^[0-9]{1,2}\.[0-9]{1,3}[.0-9a-z+]{0,16}$")]
    libraries: dict[Text, Text]
    memory: Bytes | None
    disk_free: Bytes
    power: tuple[SourceFact, ...]
    missing_power: tuple[MissingFact, ...]
    throttling: tuple[Text, ...]
    operators: Text | None

    @property
    def emulated_on(self) -> str | None:
        """The machine that emulates this one; ``None`` for a real board, 32-bit programs on 64 bits included."""
        real, shown = self.program_machine, self.machine
        return real if real and _FAMILIES.get(real, real) != _FAMILIES.get(shown, shown) else None


def read_facts(answer: dict[str, Any], device: str) -> BoardFacts:
    """Checks an answer to ``hello``.

    Raises:
        EdgeqError: A field is missing, unknown, or not what it should be.
    """
    try:
        return BoardFacts.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        field = printable(".".join(map(str, first["loc"])))
        found = printable(repr(first["input"]))[:80]
        raise EdgeqError(
            f"wrong answer from the board ({first['msg']})", field=f"{device}: {field}", found=found
        ) from error
