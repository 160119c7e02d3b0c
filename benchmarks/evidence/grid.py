# SPDX-License-Identifier: Apache-2.0
"""Which cells are measured, in the order of their weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evidence.cells import Cell
from evidence.others import other_cells
from evidence.ranks import rank_cells
from evidence.subjects import ENCODER

SEEDS = (0, 1, 2)
BITS = (3, 2, 4)
GROUPS = ("", "g64", "g128", "g32")
# The quick ones first: a search over ranges and α repeats the work for each candidate.
UNIFORM: tuple[tuple[str, dict[str, Any]], ...] = (
    ("rtn", {"rtn.beta": "auto"}),
    ("gptq", {}),
    ("gptq", {"gptq.beta": "auto"}),
    ("gptq", {"gptq.act_order": True}),
    ("awq+rtn", {}),
    ("magr+rtn", {"rtn.beta": "auto"}),
    ("magr+gptq", {"gptq.beta": "auto"}),
    ("gptq+lorc", {}),
    ("lwc", {}),
)
DESCENT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gptq+cd", {"gptq.beta": "auto"}),
    ("magr+gptq+cd", {"gptq.beta": "auto"}),
)
NONUNIFORM = {"bcq": ("bcq", "gptq"), "codebook": ("codebook", "gptq", "outliers+codebook")}


def cells_of(model: str) -> list[Cell]:
    """All cells of a model: the first calibration sample of everything before the others."""
    cells = list(_data_free(model))
    for seed in SEEDS:
        cells += _calibrated(model, seed)
        if model != ENCODER:
            cells += other_cells(model, seed, first=seed == SEEDS[0])
            cells += rank_cells(model) if seed == SEEDS[0] else []
    return cells


def _schemes(suffix: str) -> Iterator[str]:
    for group in GROUPS:
        for bits in BITS:
            yield f"w{bits}a32{group}-{suffix}"


def _data_free(model: str) -> Iterator[Cell]:
    for scheme in _schemes("asym"):
        for clip in ("minmax", "mse", "l3"):
            yield _cell(model, scheme, "rtn", {"rtn.clip": clip})
    for name in NONUNIFORM:
        for scheme in _schemes(name):
            yield _cell(model, scheme, name)


def _calibrated(model: str, seed: int) -> Iterator[Cell]:
    for scheme in _schemes("asym"):
        for method, options in (*UNIFORM, *(DESCENT if scheme.startswith("w2") else ())):
            yield _cell(model, scheme, method, options, seed)
    for name, methods in NONUNIFORM.items():
        for scheme in _schemes(name):
            for method in methods:
                yield _cell(model, scheme, method, {}, seed)
    # What the operators' int8 activations cost beside float32 ones, which all other cells have.
    for scheme in ("w4g64-asym", "w3g64-asym", "w2g64-asym"):
        yield _cell(model, scheme, "gptq", {}, seed)


def _cell(model: str, scheme: str, method: str, options: dict[str, Any] | None = None, seed: int | None = None) -> Cell:
    return Cell(model, scheme, method, tuple((options or {}).items()), seed)
