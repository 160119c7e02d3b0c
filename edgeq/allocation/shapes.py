# SPDX-License-Identifier: Apache-2.0
"""The matrix products of a model: which shapes a board has to be timed on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgeq.allocation.sensitivity.walk import walk
from edgeq.checkpoint import Checkpoint
from edgeq.quantization.loading import checkpoint_loader
from edgeq.quantization.skeleton import build_skeleton, find_targets
from edgeq.schemes import Scheme

LENGTH = 8  # tokens that find out which layers read the same input
MEMORY = 1 << 30


@dataclass(frozen=True)
class Product:
    """Products of one input.

    Attributes:
        rows: Outputs of each matrix.
        columns: Inputs.
        schemes: To be timed.
    """

    rows: tuple[int, ...]
    columns: int
    schemes: tuple[Scheme, ...]


def products_of(
    checkpoint: Checkpoint, candidates: tuple[Scheme, ...], vocabulary: Scheme, pinned: Iterable[Scheme] = ()
) -> list[Product]:
    """Every shape of a model once: fused products and their parts, and the output head.

    Args:
        checkpoint: The model; it is loaded block by block.
        candidates: Schemes of the linear layers.
        vocabulary: Scheme of the output head.
        pinned: Further schemes that linear layers may have.

    Raises:
        EdgeqError: The model cannot be loaded.
    """
    model: Any = build_skeleton(checkpoint)
    targets = find_targets(model)
    schemes = tuple(dict.fromkeys([*candidates, *pinned]))
    heads = [t for t in targets if t.vocabulary and (t.tied or t.kind != "embedding")]
    groups: dict[int, list[tuple[int, int]]] = {}
    ids = torch.zeros((1, LENGTH), dtype=torch.int64)
    linear = [target for target in targets if not target.vocabulary]
    for visit in walk(model, checkpoint_loader(model, checkpoint), ids, linear, MEMORY, Path.cwd(), keep=False):
        groups.setdefault(visit.group, []).append((visit.target.rows, visit.target.columns))
    found = {(tuple(rows for rows, _ in group), group[0][1]): schemes for group in groups.values()}
    for group in groups.values():
        found |= {((rows,), columns): schemes for rows, columns in group}
    found |= {((head.rows,), head.columns): (vocabulary,) for head in heads}
    return [Product(rows, columns, chosen) for (rows, columns), chosen in found.items()]
