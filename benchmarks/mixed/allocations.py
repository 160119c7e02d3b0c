# SPDX-License-Identifier: Apache-2.0
"""Allocations of one model: by sensitivities, uniform, and blind mixes of the same stored size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from evidence.samples import calibration_data
from evidence.subjects import Subject

from edgeq.allocation.candidates import parse_candidates
from edgeq.allocation.problem import Problem, Resource, Selection
from edgeq.allocation.sensitivity.cache import cached_table
from edgeq.allocation.sensitivity.measure import Question
from edgeq.allocation.sensitivity.table import KINDS, Kind, SensitivityTable
from edgeq.allocation.solve import solve
from edgeq.allocation.units import build_problem, group_layers, stored_bytes
from edgeq.checkpoint import Checkpoint
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme

# One group size and one kind of grid, so that bits are all that differs; float32 activations, so that weights are.
CANDIDATES = ("w2a32g64-asym", "w3a32g64-asym", "w4a32g64-asym", "w8a32g64-asym")
BITS = (2, 3, 4, 8)
BUDGETS = (3.0, 3.5)
BLIND, SPREAD = 3, 10  # random mixes beside each budget, and for the plot


@dataclass(frozen=True)
class Allocation:
    """Schemes of all layers.

    Attributes:
        model: Name of the subject.
        method: Quantization method.
        budget: Bits of the codes per weight that its size stands for; 0 for those of the plot alone.
        name: How it was chosen.
        layers: Scheme by layer.
        predicted: Damage by kind of sensitivity.
    """

    model: str
    method: str
    budget: float
    name: str
    layers: dict[str, str]
    predicted: dict[str, float]


class Allocations:
    """The allocations of a model under one method.

    Args:
        subject: The model.
        method: Quantization method.
        cache: Where sensitivities are kept.
        kinds: Of sensitivities.
    """

    def __init__(self, subject: Subject, method: str, cache: Path, kinds: Sequence[Kind] = KINDS) -> None:
        self._model, self._method = subject.name, method
        plan = Plan.build(Scheme.parse(CANDIDATES[1]), method=method)
        calibration = Calibration(calibration_data(subject, seed=0))
        self._tables: dict[Kind, SensitivityTable] = {}
        for kind in kinds:
            question = Question(Checkpoint(subject.checkpoint), plan, parse_candidates(CANDIDATES), kind, calibration)
            self._tables[kind] = cached_table(question, cache)

    def of_budgets(self) -> Iterator[Allocation]:
        """By sensitivities, and blind ones of the same size."""
        for budget in BUDGETS:
            yield from self._of_budget(budget)

    def of_split(self) -> Iterator[Allocation]:
        """By sensitivities, where layers with the same input may have different schemes."""
        for budget in BUDGETS:
            units = group_layers(self._tables["fisher"], split=True)
            problem = build_problem(units, [_bytes(self._size(budget))], [stored_bytes])
            yield self._allocation(budget, "fisher, split", solve(problem), problem)

    def of_plot(self) -> Iterator[Allocation]:
        """Uniform bits, and random mixes, to compare prediction and measurement."""
        for bits in BITS:
            yield self._allocation(0, f"w{bits}", self._uniform(bits))
        random = np.random.default_rng(1)
        for number in range(SPREAD):
            shares = random.dirichlet(np.ones(3))  # of 2, 3 and 4 bits
            selection = tuple(
                int(choice) for choice in random.choice(3, len(self._problem(0, "fisher").units), p=shares)
            )
            yield self._allocation(0, f"random {number}", selection)

    def _of_budget(self, budget: float) -> Iterator[Allocation]:
        size = self._size(budget)
        for kind in self._tables:
            yield self._allocation(budget, kind, solve(self._problem(size, kind)))
        for name, selection in self._blind(budget):
            yield self._allocation(budget, name, selection)
        yield self._allocation(budget, "fisher, greedy", solve(self._problem(size, "fisher"), "greedy"))

    def _blind(self, budget: float) -> Iterator[tuple[str, Selection]]:
        """Allocations of the same size that know nothing of the layers."""
        if budget in BITS:
            yield "uniform", self._uniform(int(budget))
            return
        units = len(self._problem(0, "fisher").units)
        yield "first layers higher", self._fill(budget, range(units))
        yield "last layers higher", self._fill(budget, range(units)[::-1])
        for seed in range(BLIND):
            order = np.random.default_rng(seed).permutation(units)
            yield f"random layers higher {seed}", self._fill(budget, order.tolist())

    def _size(self, budget: float) -> int:
        """Stored bytes of so many bits: of the uniform scheme, or of the mean of the two around them."""
        problem = self._problem(0, "fisher")
        low, high = (problem.costs(self._uniform(bits))[0] for bits in (int(budget), int(np.ceil(budget))))
        return round(low + (high - low) * (budget - int(budget)))

    def _fill(self, budget: float, order: Sequence[int]) -> Selection:
        """The lower bits everywhere, then the higher ones in some order, wherever they fit."""
        size, problem = self._size(budget), self._problem(0, "fisher")
        low, high = BITS.index(int(budget)), BITS.index(int(np.ceil(budget)))
        chosen = [low] * len(problem.units)
        for unit in order:
            chosen[unit] = high
            if problem.costs(chosen)[0] > size:
                chosen[unit] = low
        return tuple(chosen)

    def _uniform(self, bits: int) -> Selection:
        return (BITS.index(bits),) * len(self._problem(0, "fisher").units)

    def _problem(self, size: int, kind: Kind) -> Problem:
        return build_problem(group_layers(self._tables[kind]), [_bytes(size)], [stored_bytes])

    def _allocation(self, budget: float, name: str, selection: Selection, problem: Problem | None = None) -> Allocation:
        problem = problem or self._problem(0, "fisher")
        layers = {
            layer: unit.choices[index].scheme
            for unit, index in zip(problem.units, selection, strict=True)
            for layer in unit.layers
        }
        predicted = {
            kind: sum(layer.errors[layers[layer.name]].damage for layer in table.layers)
            for kind, table in self._tables.items()
        }
        return Allocation(self._model, self._method, budget, name, layers, predicted)


def _bytes(limit: int) -> Resource:
    return Resource("bytes", limit, unit="bytes")
