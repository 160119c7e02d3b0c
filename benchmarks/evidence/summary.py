# SPDX-License-Identifier: Apache-2.0
"""Cells that differ in nothing but the calibration sample, taken together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from edgeq.schemes import Scheme
from evidence.cells import OWN, Cell
from evidence.results import Record

COLUMNS = ("", "g128", "g64", "g32")


@dataclass(frozen=True)
class Row:
    """A configuration.

    Attributes:
        cell: Any of its cells, without the seed.
        bits: Stored bits per weight of the linear layers.
        values: What was measured, by name, one value per calibration sample.
    """

    cell: Cell
    bits: float
    values: dict[str, list[float]]

    def mean(self, name: str) -> float:
        """Mean over the samples."""
        return statistics.fmean(self.values[name])

    def spread(self, name: str) -> float | None:
        """Half the distance between the largest and the smallest; ``None`` for a single sample."""
        values = self.values[name]
        return (max(values) - min(values)) / 2 if len(values) > 1 else None

    @property
    def loss(self) -> float:
        """Mean change of the loss, nats per token."""
        return self.mean("loss_difference")

    @property
    def weight_bits(self) -> int:
        """Bits of a code; another tool's types are classed by what they store."""
        if self.cell.tool != OWN:
            return max(2, int(self.bits))
        weights = Scheme.parse(self.cell.scheme).weights
        return weights.bits if weights else 32

    @property
    def format(self) -> str:
        """Number format of edgeq's schemes."""
        weights = Scheme.parse(self.cell.scheme).weights
        return weights.name if weights else "fp32"

    @property
    def variant(self) -> str:
        """The format, and how the scheme differs from asymmetric weights and float32 activations."""
        scheme = Scheme.parse(self.cell.scheme)
        symmetric = ", symmetric" if getattr(scheme.weights, "symmetric", False) else ""
        return f"{self.format}{symmetric}" + ("" if scheme.activation_bits == 32 else ", int8 activations")

    @property
    def group(self) -> str:
        """One of `COLUMNS`."""
        weights = Scheme.parse(self.cell.scheme).weights
        return f"g{weights.group_size}" if weights and weights.group_size else ""

    @property
    def method(self) -> str:
        """Method and the options that differ from its defaults."""
        options = ", ".join(f"{_short(name)} {value}" for name, value in self.cell.options)
        return f"{self.cell.method} ({options})" if options else self.cell.method


def rows_of(records: Iterable[Record], measure: str = "loss_difference") -> list[Row]:
    """One row per configuration that has the measure, in the order in which they were measured."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if measure in record.result:
            groups.setdefault(replace(record.cell, seed=None).key, []).append(record)
    return [_row(group) for group in groups.values()]


def best(rows: Iterable[Row], limit: float) -> Row | None:
    """The row of least loss among those that store at most so many bits."""
    return min((row for row in rows if row.bits <= limit + 1e-9), key=lambda row: row.loss, default=None)


def _row(records: list[Record]) -> Row:
    names = [name for name, value in records[0].result.items() if isinstance(value, float)]
    values = {name: [record.result[name] for record in records] for name in names}
    calibrated = records[0].cell.seed is not None
    cell = replace(records[0].cell, seed=0 if calibrated else None)
    return Row(cell, records[0].result["bits_per_weight"], values)


def _short(name: str) -> Any:
    return name.partition(".")[2]
