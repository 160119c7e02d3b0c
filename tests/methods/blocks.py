# SPDX-License-Identifier: Apache-2.0
"""Blocks as methods that fold scales see them: of tiny models, and made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

from edgeq.calibration.blocks import find_blocks
from edgeq.calibration.calls import capture_call
from edgeq.calibration.observe import collect, input_groups
from edgeq.calibration.statistics import StatisticsAccumulator
from edgeq.methods.folding import FoldableBlock
from edgeq.quantization.preparation import activation_quantizers
from edgeq.quantization.skeleton import find_targets
from edgeq.schemes import Scheme
from tests.calibration.test_blocks import start


def foldable(model: torch.nn.Module, scheme: str = "w3g32", rows: int = 120, samples: int = 5) -> FoldableBlock:
    """The first block of a model, observed; ``rows`` of inputs are kept."""
    name = find_blocks(model)[0]
    module = model.get_submodule(name)
    layers = [t.name.removeprefix(f"{name}.") for t in find_targets(model) if t.name.startswith(f"{name}.")]
    runner = start(model, samples)
    groups = input_groups(runner, module, name, layers)
    observed = zip(groups, collect(runner, module, name, groups, rows), strict=True)
    parsed = Scheme.parse(scheme)
    block = FoldableBlock(
        module,
        model.config,
        dict.fromkeys(layers, parsed.weights),  # type: ignore[arg-type]
        {layer: found for group, found in observed for layer in group},
        activation_quantizers(dict.fromkeys(layers, parsed)),
    )
    attentions = {place.attention for place in block.folds() if place.attention}
    block.calls = {attention: capture_call(runner, module, name, attention, 48) for attention in attentions}
    return block


def outlier_block(scheme: str, outliers: float = 100.0, rows: int = 128, columns: int = 64) -> FoldableBlock:
    """A feed-forward part whose inputs have channels with outliers and small weights.

    Among the other channels large weights meet large inputs: for the weights alone no scale is best.
    """
    generator = torch.Generator().manual_seed(0)
    magnitude = torch.linspace(0.5, 2.0, columns)
    inputs = torch.randn(rows, columns, generator=generator) * magnitude
    inputs[:, ::16] *= outliers
    module = nn.Module()
    module.mlp, module.post_attention_layernorm = nn.Module(), nn.LayerNorm(columns)
    for name in ("gate_proj", "up_proj"):
        linear = nn.Linear(columns, 48, bias=False)
        linear.weight.data = torch.randn(48, columns, generator=generator) * magnitude
        linear.weight.data[:, ::16] /= 10 * outliers
        setattr(module.mlp, name, linear)
    accumulator = StatisticsAccumulator(columns, stride=1)
    accumulator.add(inputs)
    layers, parsed = ("mlp.gate_proj", "mlp.up_proj"), Scheme.parse(scheme)
    return FoldableBlock(
        module,
        SimpleNamespace(model_type="llama"),
        dict.fromkeys(layers, parsed.weights),  # type: ignore[arg-type]
        dict.fromkeys(layers, accumulator.result()),
        activation_quantizers(dict.fromkeys(layers, parsed)),
    )
