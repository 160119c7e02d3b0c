# SPDX-License-Identifier: Apache-2.0
"""A table of sensitivities as a problem: units of layers, their schemes, damage and costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeq.allocation.problem import Choice, Problem, Resource, Unit
from edgeq.allocation.sensitivity.table import LayerSensitivity, SensitivityTable
from edgeq.schemes import Scheme

Layers = tuple[LayerSensitivity, ...]
Cost = Callable[[Layers, str], int]


def group_layers(table: SensitivityTable, *, split: bool = False) -> list[Layers]:
    """The units: layers that read the same input (q, k and v; gate and up) are one, so that they can be fused.

    Args:
        table: All layers.
        split: Make every layer a unit of its own.
    """
    groups: dict[int, list[LayerSensitivity]] = {}
    for number, layer in enumerate(table.layers):
        groups.setdefault(number if split else layer.group, []).append(layer)
    return [tuple(layers) for layers in groups.values()]


def build_problem(units: Sequence[Layers], resources: Sequence[Resource], costs: Sequence[Cost]) -> Problem:
    """The problem.

    Args:
        units: Layers that get the same scheme; all layers know the same schemes.
        resources: What is limited.
        costs: What a unit takes of each under a scheme.
    """
    return Problem(tuple(_unit(layers, costs) for layers in units), tuple(resources))


def _unit(layers: Layers, costs: Sequence[Cost]) -> Unit:
    choices = tuple(
        Choice(
            scheme,
            sum(layer.errors[scheme].damage for layer in layers),
            tuple(cost(layers, scheme) for cost in costs),
        )
        for scheme in layers[0].errors
    )
    return Unit(tuple(layer.name for layer in layers), choices)


def stored_bytes(layers: Layers, scheme: str) -> int:
    """Bytes of packed weights, scales and padding included."""
    fmt = Scheme.parse(scheme).weights
    if fmt is None:
        return sum(4 * layer.rows * layer.columns for layer in layers)
    return sum(fmt.packed_size(layer.rows, layer.columns) for layer in layers)
