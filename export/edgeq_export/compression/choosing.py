# SPDX-License-Identifier: Apache-2.0
"""Which units stay compressed, from their sizes and what their products were measured to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.compression.choice import PAGE, Form, Frontier, Plan, pages
from edgeq.compression.sizes import compressed_size
from edgeq.compression.storage import read_bandwidth
from edgeq.errors import EdgeqError
from edgeq_export.compression.bundles import OpenGraph
from edgeq_export.compression.measuring import Times, measure_units, signature
from edgeq_export.compression.storing import Storage
from edgeq_export.compression.units import Unit, Weight

RAW, DENSEST = "raw", "rans"
ROUNDING = 1e-12  # of sums of times


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        storages: By the unit's name.
        units: The units, in the order of the other lists.
        forms: The forms that each unit could take, with their bytes and measured seconds per token.
        plan: The form of each.
        others: Bytes of all tensors that are not packed weights.
        bandwidth: Of the storage, bytes per second.
    """

    storages: dict[str, Storage]
    units: list[Unit]
    forms: list[list[Form]]
    plan: Plan
    others: int
    bandwidth: float

    @property
    def raw_seconds(self) -> float:
        """Predicted seconds per token of the matrix products with all weights raw."""
        return sum(forms[0].seconds for forms in self.forms)

    @property
    def memory(self) -> int:
        """Predicted bytes of all tensors in memory."""
        return self.plan.memory + self.others

    @property
    def raw_memory(self) -> int:
        """The same with all weights raw."""
        return sum(forms[0].memory for forms in self.forms) + self.others


def choose(
    graph: OpenGraph,
    codecs: Sequence[str],
    *,
    max_memory: int | None = None,
    max_slowdown: float | None = None,
    threads: int | None = None,
    forms: list[list[Form]] | None = None,
) -> Choice:
    """Measures and chooses: the least time within a memory budget, or the least memory within a slowdown.

    Args:
        graph: The bundle.
        codecs: Codecs that may be used.
        max_memory: Bytes that all tensors may take in memory.
        max_slowdown: Time of a token's matrix products over that with raw weights, 1 or more; with ``max_memory`` too,
            the plan within the budget must keep it.
        threads: Threads of a session.
        forms: What `measure_forms` found, where it was asked before.

    Raises:
        EdgeqError: A limit is senseless or cannot be kept, or the operators cannot be run here.
    """
    if max_slowdown is not None and not max_slowdown >= 1:
        raise EdgeqError("wrong slowdown", field="--max-slowdown", found=max_slowdown, wanted="1 or more, such as 1.1")
    forms = forms or measure_forms(graph, codecs, threads)
    others = _other_bytes(graph)
    limit = max_slowdown and max_slowdown * sum(own[0].seconds for own in forms) * (1 + ROUNDING)
    plan = _solve(Frontier(forms), max_memory, limit, others)
    bandwidth = read_bandwidth(graph.data_path)
    pairs = zip(graph.units, forms, plan.forms, strict=True)
    chosen = {unit.name: _storage(own, form, bandwidth) for unit, own, form in pairs}
    return Choice(chosen, graph.units, forms, plan, others, bandwidth)


def measure_forms(graph: OpenGraph, codecs: Sequence[str], threads: int | None = None) -> list[list[Form]]:
    """The forms that each unit can take, raw first and then those that are smaller, with sizes and measured times.

    Args:
        graph: The bundle.
        codecs: Codecs that may be used.
        threads: Threads of a session.

    Raises:
        EdgeqError: The operators cannot be run here.
    """
    storages = {RAW: Storage(), **{codec: Storage("use", codec) for codec in codecs}}
    times = measure_units(graph.units, storages, threads)
    return [_forms(unit, times[signature(unit)]) for unit in graph.units]


def _solve(frontier: Frontier, memory: int | None, seconds: float | None, others: int) -> Plan:
    if memory is None:
        return frontier.smallest(float("inf") if seconds is None else seconds)
    plan = frontier.fastest(memory, others)
    if seconds is not None and plan.seconds > seconds:
        raise EdgeqError(
            "memory budget and slowdown exclude each other",
            field="--max-memory, --max-slowdown",
            found=f"{1e3 * plan.seconds:.3g} ms per token within the budget",
            wanted=f"at most {1e3 * seconds:.3g} ms",
        )
    return plan


def _forms(unit: Unit, times: Times) -> list[Form]:
    """Raw first; every tensor begins a page."""
    forms = []
    for name, seconds in times.items():
        sizes = [_size(weight, name) for weight in unit.weights]
        if name == RAW or sum(sizes) < unit.raw_size:
            forms.append(Form(name, PAGE * sum(pages(size) for size in sizes), seconds))
    return forms


def _size(weight: Weight, form: str) -> int:
    if form == RAW:
        return weight.raw_size
    return compressed_size(weight.packed(), weight.fmt, weight.rows, weight.columns, form)


def _storage(forms: Sequence[Form], form: Form, bandwidth: float) -> Storage:
    """A form as it is stored; raw weights are decoded at load where that takes less time than reading them raw."""
    if form.name != RAW:
        return Storage("use", form.name)
    dense = next((other for other in forms if other.name == DENSEST), None)
    if dense is not None and (form.memory - dense.memory) / bandwidth > dense.seconds:
        return Storage("load", DENSEST)
    return Storage()


def _other_bytes(graph: OpenGraph) -> int:
    """Bytes of all tensors that are not packed weights."""
    packed = {weight.name for unit in graph.units for weight in unit.weights}
    initializers = graph.model.graph.initializers
    tensors = [value.const_value for name, value in initializers.items() if name not in packed]
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
