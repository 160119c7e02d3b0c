# SPDX-License-Identifier: Apache-2.0
"""Layers made by hand: rows with lighter and heavier tails, and inputs with channels of outliers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.calibration.statistics import StatisticsAccumulator
from edgeq.methods import aqas, awq, smoothquant
from edgeq.methods.distortion import distortion_of
from edgeq.methods.folding import Fold, FoldableBlock
from edgeq.methods.scaling import largest_magnitudes
from edgeq.quantization.preparation import activation_quantizers
from edgeq.schemes import Scheme
from evidence.cells import Cell
from evidence.layer_errors import parts, row_range
from evidence.w4a8_grid import SYNTHETIC

ROWS, COLUMNS, TOKENS = 128, 512, 512
TAILS = ("uniform", "normal", "t10", "t5", "t3")
FACTORS = (1.0, 10.0, 100.0)
FORMATS = tuple(f"w{bits}{group}{name}-asym" for group in ("", "g128") for bits in (4, 3) for name in ("", "-dint"))


def synthetic_cells() -> list[Cell]:
    """Weights with each kind of tails, and inputs with each size of outliers."""
    weights = [Cell(tail, "fp32", SYNTHETIC) for tail in TAILS]
    return weights + [
        Cell("outliers", scheme, SYNTHETIC, (("factor", factor),))
        for scheme in ("w4a8t", "w4a8ta-asym")
        for factor in FACTORS
    ]


SEARCHED = FORMATS[:4]  # also with the range of least squared error


@torch.no_grad()
def run_synthetic(cell: Cell) -> dict[str, Any]:
    """Measures a cell."""
    options = dict(cell.options)
    return _scaling(cell.scheme, options["factor"]) if options else _tails(cell.model)


def _tails(kind: str) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    weight = _draw(kind, generator)
    gram = torch.eye(COLUMNS, dtype=torch.float64)
    searched = {f"{scheme} searched": parts(weight, gram, scheme, "mse") for scheme in SEARCHED}
    return {"range": row_range(weight), **{scheme: parts(weight, gram, scheme) for scheme in FORMATS}, **searched}


def _draw(kind: str, generator: torch.Generator) -> Tensor:
    if kind == "uniform":
        return torch.rand(ROWS, COLUMNS, generator=generator) * 2 - 1
    normal = torch.randn(ROWS, COLUMNS, generator=generator)
    if kind == "normal":
        return normal
    freedom = int(kind.removeprefix("t"))
    squares = torch.randn(freedom, ROWS, COLUMNS, generator=generator).square().mean(0)
    return normal / squares.sqrt()


def _scaling(scheme: str, factor: float) -> dict[str, Any]:
    """The error of both roundings, relative to the output, under each rule for scales."""
    block = _block(scheme, factor)
    (place,) = block.folds()
    distortion = distortion_of(block, place, "minmax")
    scales = {
        "none": torch.ones(COLUMNS),
        "smoothquant": _smoothing(block, place),
        "awq": awq.best_scale(block, place, awq.Options()),
        "aqas": aqas.best_scale(block, place, aqas.Options()),
    }
    sample = block.statistics[place.layers[0]].sample
    assert sample is not None
    output = sum(float((sample @ block.weight(layer).T).square().sum()) for layer in place.layers)
    return {name: (distortion(scale) / output) ** 0.5 for name, scale in scales.items()}


def _smoothing(block: FoldableBlock, place: Fold) -> Tensor:
    inputs, weights = largest_magnitudes(block, place)
    alpha = smoothquant.Options().alpha
    return inputs**alpha / weights ** (1 - alpha)


def _block(scheme: str, factor: float) -> FoldableBlock:
    """Every 64th channel has inputs ``factor`` times larger and weights as much smaller than the others."""
    generator = torch.Generator().manual_seed(0)
    magnitude = torch.linspace(0.5, 2.0, COLUMNS)
    inputs = torch.randn(TOKENS, COLUMNS, generator=generator) * magnitude
    inputs[:, ::64] *= factor
    module = nn.Module()
    module.mlp, module.post_attention_layernorm = nn.Module(), nn.LayerNorm(COLUMNS)
    layers = ("mlp.gate_proj", "mlp.up_proj")
    for layer in layers:
        linear = nn.Linear(COLUMNS, ROWS, bias=False)
        linear.weight.data = torch.randn(ROWS, COLUMNS, generator=generator)
        linear.weight.data[:, ::64] /= factor
        setattr(module.mlp, layer.removeprefix("mlp."), linear)
    accumulator = StatisticsAccumulator(COLUMNS, stride=1)
    accumulator.add(inputs)
    parsed = Scheme.parse(scheme)
    assert parsed.weights is not None
    return FoldableBlock(
        module,
        SimpleNamespace(model_type="llama"),
        dict.fromkeys(layers, parsed.weights),
        dict.fromkeys(layers, accumulator.result()),
        activation_quantizers(dict.fromkeys(layers, parsed)),
    )
