# SPDX-License-Identifier: Apache-2.0
"""The two parts of a layer's error by number format, and the tails of its rows.

Source: arXiv 2311.05161, section 3: weights that are rounded to zero (underflow, Δu) and the others (rounding, Δr).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgeq.methods.grids import Clip
from edgeq.methods.pipeline import Pipeline
from edgeq.schemes import Scheme
from evidence.others import Grams

SCHEMES = ("w4-asym", "w4-dint-asym", "w3-asym", "w3-dint-asym")


def layer_errors(model: Any, grams: Grams) -> dict[str, dict[str, Any]]:
    """By layer: range/σ of its rows, and ‖Δu X‖, ‖Δr X‖, ‖(Ŵ − W) X‖ over ‖W X‖ for each of `SCHEMES`."""
    found = {}
    for name, gram in grams.items():
        weight = model.get_submodule(name).weight.detach().float()
        moments = torch.from_numpy(gram)
        found[name] = {"range": row_range(weight), **{s: parts(weight, moments, s) for s in SCHEMES}}
    return found


def row_range(weight: Tensor) -> float:
    """The median over rows of (largest − smallest) / σ."""
    return float(((weight.amax(1) - weight.amin(1)) / weight.std(1).clamp(min=1e-12)).median())


def parts(weight: Tensor, gram: Tensor, scheme: str, clip: Clip = "minmax") -> list[float]:
    """Underflow, rounding and whole error relative to the output, round to nearest; by default over the whole range."""
    fmt = Scheme.parse(scheme).weights
    assert fmt is not None
    tensor = Pipeline.parse("rtn", {"rtn.clip": clip}).quantize(weight, fmt, None).tensor
    decoded = torch.from_numpy(fmt.decode(tensor))  # type: ignore[arg-type]  # the format's own tensor
    whole = decoded - weight
    under = torch.where(decoded == 0, whole, 0.0)
    output = _norm(weight, gram)
    return [_norm(error, gram) / output for error in (under, whole - under, whole)]


def _norm(matrix: Tensor, gram: Tensor) -> float:
    wide = matrix.double()
    return float(((wide @ gram) * wide).sum().clamp(min=0).sqrt())
