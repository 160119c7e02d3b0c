# SPDX-License-Identifier: Apache-2.0
"""Which cells are measured, in the order of their weight."""

from __future__ import annotations

from evidence.cells import Cell
from evidence.others import other_cells
from evidence.subjects import ENCODER

SEEDS = [0, 1, 2]


def cells_of(model: str) -> list[Cell]:
    """All cells of a model."""
    own = [
        Cell(model, f"w{bits}a32{group}-asym", "rtn", (("clip", clip),))
        for bits in (4, 3, 2)
        for group in ("", "g128", "g64", "g32")
        for clip in ("minmax", "mse", "l3")
    ]
    return own + ([] if model == ENCODER else other_cells(model, SEEDS))
