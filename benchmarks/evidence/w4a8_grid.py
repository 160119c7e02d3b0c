# SPDX-License-Identifier: Apache-2.0
"""The cells of the experiment of arXiv 2311.05161, and what else its claims need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evidence.cells import Cell
from evidence.subjects import ENCODER
from evidence.value_cache import SHARED_BY

SEED = 0
LENGTHS = {"stories260K": (64, 128, 512), "babyllama-tok361": (64, 128, 256), "books-6m": (64, 128, 512, 1024)}
ENCODER_LENGTHS = (16, 32, 64, 128)
WHOLE: dict[str, Any] = {"rtn.clip": "minmax"}  # the whole range of a row, as in the paper's RTN
MSE: dict[str, Any] = {"rtn.clip": "mse"}
LAYERS, SYNTHETIC, LENGTH, CACHE = "layers", "synthetic", "calibration_length", "kv_cache"
CACHES = ("kv8", "kv4", *SHARED_BY)  # those of bundles, and values alone as only PyTorch runs them


def w4a8_cells(model: str) -> list[Cell]:
    """The cells of a model, those that say most first."""
    return list(dict.fromkeys(_cells(model)))


def outlier_cells(model: str) -> list[Cell]:
    """The paper's rows, on a model that was given outliers."""
    plain = "w4a8ta-asym"
    return [
        _cell(model, plain, "rtn", WHOLE),
        _cell(model, plain, "gptq", {}, SEED),
        _cell(model, plain, "smoothquant+gptq", {}, SEED),
        _cell(model, plain, "awq+gptq", {}, SEED),
        _cell(model, plain, "aqas+rtn", MSE, SEED),
        _cell(model, plain, "aqas+gptq", {}, SEED),
        _cell(model, "w4a8ta-dint-asym", "aqas+gptq", {}, SEED),
    ]


def _cells(model: str) -> Iterator[Cell]:
    four, three = "w4a8ta", "w3a8ta"
    yield _cell(model, f"{four}-asym", "rtn", WHOLE)
    yield _cell(model, f"{four}-asym", "gptq", {}, SEED)
    yield _cell(model, f"{four}-asym", "smoothquant+gptq", _places(model), SEED)
    yield _cell(model, f"{four}-asym", "awq+gptq", {}, SEED)
    yield _cell(model, f"{four}-asym", "aqas+rtn", MSE, SEED)
    yield _cell(model, f"{four}-asym", "aqas+gptq", {}, SEED)
    yield _cell(model, f"{four}-dint-asym", "aqas+gptq", {}, SEED)
    yield _cell(model, f"{four}-auto-asym", "aqas+gptq", {}, SEED)
    for bits in (three, four):
        for name in ("", "-dint"):
            yield _cell(model, f"{bits}{name}-asym", "rtn", WHOLE)
            yield _cell(model, f"{bits}{name}-asym", "gptq", {"gptq.clip": "minmax"}, SEED)
    for name in ("", "-dint", "-auto"):
        yield _cell(model, f"{three}{name}-asym", "aqas+gptq", {}, SEED)
    yield from _weights_only(model)
    if model != ENCODER:
        yield _cell(model, "fp32", LAYERS, {}, SEED)
        yield from _cached(model)
    for length in LENGTHS.get(model, ()):
        for method in ("gptq", "aqas+gptq"):
            yield _cell(model, f"{four}-asym", method, {LENGTH: length}, SEED)
    for length in ENCODER_LENGTHS if model == ENCODER else ():
        for name in ("", "-dint"):
            yield _cell(model, f"{three}{name}-asym", "gptq", {"gptq.clip": "minmax", LENGTH: length}, SEED)


def _cached(model: str) -> Iterator[Cell]:
    """The paper's main rows with a quantized cache; those of one method together, as they share the quantized model."""
    rows: list[tuple[str, str, dict[str, Any], int | None]] = [
        ("w4a8ta-asym", "rtn", WHOLE, None),
        ("w4a8ta-asym", "gptq", {}, SEED),
        ("w4a8ta-asym", "aqas+gptq", {}, SEED),
        ("w4a8ta-dint-asym", "aqas+gptq", {}, SEED),
    ]
    for scheme, method, options, seed in rows:
        for cache in CACHES:
            yield _cell(model, scheme, method, options | {CACHE: cache}, seed)


def _weights_only(model: str) -> Iterator[Cell]:
    """Number formats alone: no rounded activations, no search for ranges."""
    for bits in (3, 4):
        for group in ("", "g32"):
            for name in ("", "-dint"):
                yield _cell(model, f"w{bits}a32{group}{name}-asym", "rtn", WHOLE)
    for bits in (3, 4):
        for name in ("-dint0.25", "-dint0.125"):
            yield _cell(model, f"w{bits}a32{name}-asym", "rtn", WHOLE)
        yield _cell(model, f"w{bits}a32-auto-asym", "rtn", WHOLE, SEED)  # errors of outputs take calibration


def _places(model: str) -> dict[str, Any]:
    """Norms, as in its paper; where no norm can take a scale, what can."""
    return {"smoothquant.places": "all"} if model == ENCODER else {}


def _cell(model: str, scheme: str, method: str, options: dict[str, Any] | None = None, seed: int | None = None) -> Cell:
    return Cell(model, scheme, method, tuple((options or {}).items()), seed)
