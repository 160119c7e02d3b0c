# SPDX-License-Identifier: Apache-2.0
"""What several verbs say of a bit allocation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeq.bundle.manifest import AllocatedLayer, AllocationRecord


def columns(record: AllocationRecord | None) -> list[str]:
    """Headers of what the plan shows besides; none without a budget."""
    if record is None:
        return []
    return ["closed form", "output error" if record.predicted_loss_change is None else "nats/token"]


def cells(layer: AllocatedLayer | None) -> list[str]:
    """The bits of the closed form, and what the layer is predicted to cost."""
    return [] if layer is None else [f"{layer.optimal_bits:.2f}", f"{layer.damage:.3g}"]


def summary(record: AllocationRecord) -> str:
    """What the budget came to, on one line."""
    limits = ", ".join(f"{option} {text}" for option, text in record.used.items())
    change = record.predicted_loss_change
    predicted = "" if change is None else f"; predicted change of the loss {change:+.4f} nats/token"
    return f"Allocated by {record.sensitivity} ({record.algorithm}): {limits}{predicted}."
