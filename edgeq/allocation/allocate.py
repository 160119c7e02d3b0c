# SPDX-License-Identifier: Apache-2.0
"""A budget carried out: sensitivities measured or remembered, the problem solved, the plan described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.allocation.budget import Budget
from edgeq.allocation.closed_form import optimal_bits
from edgeq.allocation.costs import LayerCosts
from edgeq.allocation.problem import Problem, Resource
from edgeq.allocation.resources import Rest, resources_of
from edgeq.allocation.sensitivity.table import LayerSensitivity, SensitivityTable
from edgeq.allocation.solve import solve
from edgeq.allocation.units import Layers, build_problem, group_layers, stored_bytes
from edgeq.bundle.manifest import AllocatedLayer, AllocationRecord
from edgeq.errors import EdgeqError
from edgeq.schemes import Scheme


@dataclass(frozen=True)
class Allocation:
    """The result.

    Attributes:
        layers: Scheme by layer.
        record: For the manifest.
    """

    layers: dict[str, str]
    record: AllocationRecord


def allocate(table: SensitivityTable, budget: Budget, rest: Rest, costs: LayerCosts | None = None) -> Allocation:
    """Chooses a scheme for every layer of a table.

    Args:
        table: Damage by layer and scheme.
        budget: The limits.
        rest: The rest of the model.
        costs: Measured products, for limits on time and energy.

    Raises:
        EdgeqError: There are no layers, no schemes fit the budget (the nearest feasible one is named), or a product was
            not measured.
    """
    if not table.layers:
        raise EdgeqError("no layers to allocate", field="budget", wanted="linear layers without --layer or --skip")
    units = group_layers(table, split=budget.split)
    resources, functions = resources_of(budget, units, rest, costs)
    problem = build_problem(units, resources, functions)
    selection = solve(problem, budget.algorithm)
    schemes = {
        name: unit.choices[index].scheme
        for unit, index in zip(problem.units, selection, strict=True)
        for name in unit.layers
    }
    return Allocation(schemes, _describe(table, budget, schemes, _used(problem, selection), units))


def _used(problem: Problem, selection: Sequence[int]) -> dict[str, str]:
    """What each limited resource comes to for the whole model."""
    spent = problem.costs(selection)
    return {resource.option: _show(resource, cost) for resource, cost in zip(problem.resources, spent, strict=True)}


def _show(resource: Resource, cost: int) -> str:
    return f"{resource.describe(cost)} of {resource.describe(resource.limit)}"


def _describe(
    table: SensitivityTable, budget: Budget, schemes: dict[str, str], used: dict[str, str], units: Sequence[Layers]
) -> AllocationRecord:
    weights = sum(layer.rows * layer.columns for layer in table.layers)
    stored = sum(stored_bytes((layer,), schemes[layer.name]) for layers in units for layer in layers)
    damage = sum(layer.errors[schemes[layer.name]].damage for layer in table.layers)
    bits = continuous_bits(table, schemes)
    return AllocationRecord(
        sensitivity=table.kind,
        algorithm=budget.algorithm,
        candidates=list(table.layers[0].errors),
        budget=budget.limits(),
        used=used,
        bits_per_weight=8 * stored / weights,
        predicted_loss_change=None if table.kind == "output" else damage,
        layers=[
            AllocatedLayer(
                name=layer.name,
                scheme=schemes[layer.name],
                damage=layer.errors[schemes[layer.name]].damage,
                optimal_bits=float(best),
            )
            for layer, best in zip(table.layers, bits, strict=True)
        ],
    )


def continuous_bits(table: SensitivityTable, schemes: dict[str, str]) -> list[float]:
    """The closed form's real-valued bits at the average of the chosen ones: what whole bits approximate.

    α_l σ_l² of a layer is the geometric mean over schemes of damage · 4^bits, per weight.
    """
    weights = [layer.rows * layer.columns for layer in table.layers]
    chosen = [code_bits(schemes[layer.name]) for layer in table.layers]
    average = sum(w * b for w, b in zip(weights, chosen, strict=True)) / sum(weights)
    candidates = [code_bits(scheme) for scheme in table.layers[0].errors]
    sensitivities = [_sensitivity(layer) / (layer.rows * layer.columns) for layer in table.layers]
    return list(optimal_bits(weights, sensitivities, average, min(candidates), max(candidates)))


def _sensitivity(layer: LayerSensitivity) -> float:
    product, count = 1.0, 0
    for scheme, errors in layer.errors.items():
        if errors.damage > 0 and code_bits(scheme) <= 8:
            product, count = product * errors.damage * 4 ** code_bits(scheme), count + 1
    return product ** (1 / count) if count else 0.0


def code_bits(scheme: str) -> int:
    """Bits of the codes; 32 of fp32."""
    weights = Scheme.parse(scheme).weights
    return 32 if weights is None else weights.bits
