# SPDX-License-Identifier: Apache-2.0
"""What a board's file holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cluster(_Strict):
    """Cores of one kind.

    Attributes:
        name: ``big``, ``little`` or ``all``: what ``--cores`` takes.
        core: Microarchitecture.
        processors: Linux's numbers of its logical processors.
        mhz: Highest clock as sold.
    """

    name: str
    core: str
    processors: tuple[Annotated[int, Field(ge=0)], ...]
    mhz: Positive


class MemorySystem(_Strict):
    """The memory.

    Attributes:
        kind: Type and transfer rate.
        bandwidth: Theoretical peak in GB/s; what a program reaches is less.
    """

    kind: str
    bandwidth: Positive


class PowerSource(_Strict):
    """A way to measure power on the board.

    Attributes:
        meter: Name of the interface in :mod:`edgeq_devices.power`, or ``external``.
        rails: Rails that add up to what it covers.
        leaves_out: What the board draws beside them.
    """

    meter: Literal["hwmon", "rapl", "pmic", "battery", "external"]
    rails: tuple[str, ...] = ()
    leaves_out: str


class Toolchain(_Strict):
    """What operators are built for.

    Attributes:
        target: Platform of a bundle's library.
        instruction_sets: Kernels that the board runs, from the slowest to the fastest.
    """

    target: Literal["linux-x86_64", "linux-aarch64", "linux-armv7", "android-arm64"]
    instruction_sets: tuple[str, ...]


class Fallback(_Strict):
    """For machines that no other file names.

    Attributes:
        system: As ``uname -s`` and Android tell it.
        machines: As ``uname -m`` tells it.
    """

    system: Literal["Linux", "Android"]
    machines: tuple[str, ...]


class Board(_Strict):
    """A board.

    Attributes:
        name: As its maker calls it.
        soc: Its processor.
        device_tree: Shell-style patterns for ``/proc/device-tree/model``.
        fallback: Whether it stands for all machines of a kind; then cores and memory are read on the machine.
        clusters: Its cores.
        memory: Its memory; ``None`` where it differs from machine to machine.
        power: Ways to measure its power, the best first.
        throttling: Interfaces that report throttling (:mod:`edgeq_devices.throttle`).
        toolchain: What operators are built for.
        notes: What one should know before measuring.
    """

    name: str
    soc: str
    device_tree: tuple[str, ...] = ()
    fallback: Fallback | None = None
    clusters: tuple[Cluster, ...] = ()
    memory: MemorySystem | None = None
    power: tuple[PowerSource, ...]
    throttling: tuple[Literal["vcgencmd", "thermal_throttle", "soctherm_oc", "thermal cooling"], ...]
    toolchain: Toolchain
    notes: str = ""

    @model_validator(mode="after")
    def _check(self) -> Board:
        if bool(self.device_tree) == bool(self.fallback):
            raise ValueError("wanted either device_tree or fallback")
        processors = [number for cluster in self.clusters for number in cluster.processors]
        if len(processors) != len(set(processors)):
            raise ValueError("a processor is in two clusters")
        if self.device_tree and not (self.clusters and self.memory):
            raise ValueError("wanted clusters and memory")
        return self

    def processors(self, cores: str) -> list[int]:
        """The processors that ``--cores`` names: a cluster, or ``all``.

        Raises:
            KeyError: There is no such cluster.
        """
        chosen = [cluster for cluster in self.clusters if cores in ("all", cluster.name)]
        if not chosen:
            raise KeyError(cores)
        return sorted(number for cluster in chosen for number in cluster.processors)


class Identity(_Strict):
    """What a machine says about itself.

    Attributes:
        system: ``Linux`` or ``Android``.
        machine: As ``uname -m`` tells it.
        model: ``/proc/device-tree/model``; ``None`` on machines without one.
    """

    system: Literal["Linux", "Android"]
    machine: str
    model: str | None = None
