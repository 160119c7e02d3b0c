# SPDX-License-Identifier: Apache-2.0
"""A budget's limits as resources of the problem: bytes, nanoseconds, nanojoules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeq.allocation.budget import Budget, option_of
from edgeq.allocation.costs import LayerCosts, ProductCost
from edgeq.allocation.problem import Resource
from edgeq.allocation.units import Cost, Layers, stored_bytes
from edgeq.errors import EdgeqError

NANO = 1_000_000_000


@dataclass(frozen=True)
class Rest:
    """What of the model no budget decides on.

    Attributes:
        linear_bytes: Stored bytes of its other linear layers (pinned by ``--layer`` or ``--skip``).
        linear_weights: Their weights.
        bundle_bytes: Everything else in the bundle: vocabulary, norms, tokenizer, operators, graph.
        memory_bytes: What is in memory besides linear layers: vocabulary, norms, keys and values, runtime.
        products: Shapes and schemes of its matrix products, the output head among them: rows, columns, scheme.
    """

    linear_bytes: int = 0
    linear_weights: int = 0
    bundle_bytes: int = 0
    memory_bytes: int = 0
    products: tuple[tuple[int, int, str], ...] = ()


def resources_of(
    budget: Budget, units: Sequence[Layers], rest: Rest, costs: LayerCosts | None
) -> tuple[list[Resource], list[Cost]]:
    """What is limited, and what a unit takes of it; of several limits on bytes only the tightest counts.

    Args:
        budget: The limits.
        units: Layers that it decides on.
        rest: The rest of the model.
        costs: Measured products, for time and energy.

    Raises:
        EdgeqError: A product of the rest was not measured, or no energy was.
    """
    found: list[tuple[Resource, Cost]] = []
    sizes = list(_byte_limits(budget, units, rest))
    if sizes:
        found.append((min(sizes, key=lambda resource: resource.limit), stored_bytes))
    if costs is not None and budget.max_latency is not None:
        found.append(_timed(budget.max_latency, rest, costs))
    if costs is not None and budget.max_energy is not None:
        found.append(_energetic(budget.max_energy, rest, costs))
    return [resource for resource, _ in found], [cost for _, cost in found]


def _byte_limits(budget: Budget, units: Sequence[Layers], rest: Rest) -> Iterator[Resource]:
    if budget.avg_bits is not None:
        weights = rest.linear_weights + sum(layer.rows * layer.columns for layers in units for layer in layers)
        limit = int(budget.avg_bits * weights / 8) - rest.linear_bytes
        yield Resource(option_of("avg_bits"), limit, rest.linear_bytes, 8 / weights, "bits per weight")
    for name, others in (("max_size", rest.bundle_bytes), ("max_memory", rest.memory_bytes)):
        most = getattr(budget, name)
        if most is not None:
            fixed = others + rest.linear_bytes
            yield Resource(option_of(name), most - fixed, fixed, 1e-6, "MB")


def _timed(seconds: float, rest: Rest, costs: LayerCosts) -> tuple[Resource, Cost]:
    def cost(layers: Layers, scheme: str) -> int:
        return _ceil(_product(costs, layers, scheme).nanoseconds)

    fixed = sum(_ceil(costs.find([rows], columns, scheme).nanoseconds) for rows, columns, scheme in rest.products)
    return Resource(option_of("max_latency"), _floor(seconds * NANO) - fixed, fixed, 1e-6, "ms"), cost


def _energetic(joules: float, rest: Rest, costs: LayerCosts) -> tuple[Resource, Cost]:
    def cost(layers: Layers, scheme: str) -> int:
        return _ceil(NANO * _joules(_product(costs, layers, scheme)))

    fixed = sum(_ceil(NANO * _joules(costs.find([rows], columns, scheme))) for rows, columns, scheme in rest.products)
    return Resource(option_of("max_energy"), _floor(joules * NANO) - fixed, fixed, 1e-6, "mJ"), cost


def _product(costs: LayerCosts, layers: Layers, scheme: str) -> ProductCost:
    return costs.find([layer.rows for layer in layers], layers[0].columns, scheme)


def _joules(product: ProductCost) -> float:
    if product.joules is None:
        raise EdgeqError(
            "no energy was measured", field="--max-energy", remedy="profile the layers on a board with a meter"
        )
    return product.joules


def _ceil(value: float) -> int:
    return -int(-value // 1)


def _floor(value: float) -> int:
    """Rounded down, but for what floating point loses: 2.01 µs are 2010 ns."""
    return int(round(value, 3))
