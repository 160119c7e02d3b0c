# SPDX-License-Identifier: Apache-2.0
"""The configurations whose size and quality are measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evidence.cells import Cell
from evidence.subjects import ENCODER

SEED = 0
RATES = (4.0, 3.6, 3.3, 3.0, 2.5, 2.0)


def cells_of(model: str) -> Iterator[Cell]:
    """The cells of a model, the most telling ones first; encoders get a short list."""
    yield Cell(model, "w8", "rtn")
    yield Cell(model, "w4g128", "gptq", seed=SEED)
    rates = (3.6, 3.0) if model == ENCODER else RATES
    for bits in rates:
        yield _coded(model, "ecgptq", bits)
    yield _coded(model, "ecsq", 3.6)
    if model == ENCODER:
        return
    yield Cell(model, "w4g128", "rtn")
    yield Cell(model, "w3g64", "gptq", seed=SEED)
    for bits in (3.4, 3.0):
        yield _coded(model, "ecgptq", bits, **{"ecgptq.vocabulary_bits": 4.5})
    yield _coded(model, "entquant", 3.6)
    yield _coded(model, "balance+ecgptq", 3.6)
    yield from _variants(model)


def _variants(model: str) -> Iterator[Cell]:
    """What else was tried: other slopes and orders, pruning, int4 codes, a rate counted in nibbles."""
    for ratio in ("auto", 0.15, 0.25):
        yield _coded(model, "ecgptq+prune", 3.6, **{"prune.ratio": ratio})
    yield _coded(model, "ecgptq", 3.6, **{"ecgptq.act_order": False})
    yield _coded(model, "ecgptq", 3.0, **{"ecgptq.slope": 1.0})
    for spread in (0.0, 1.0):
        yield _coded(model, "ecgptq", 3.0, **{"ecgptq.spread": spread})
    yield _coded(model, "ecgptq", 4.2, **{"ecgptq.rate": "nibble"})
    yield _coded(model, "ecgptq", 3.3, scheme="w4g128")
    yield _coded(model, "ecsq", 3.0)
    yield _coded(model, "entquant", 3.0)


def _coded(model: str, method: str, bits: float, scheme: str = "w8", **options: Any) -> Cell:
    solver = next(name for name in method.split("+") if name in ("ecsq", "ecgptq", "entquant"))
    rates = {f"{solver}.bits": bits} | ({"balance.bits": bits} if "balance" in method else {})
    calibrated = "ecgptq" in method
    return Cell(model, scheme, method, tuple((rates | options).items()), SEED if calibrated else None)
