# SPDX-License-Identifier: Apache-2.0
"""Blocks of tiny models as methods that fold scales see them."""

from __future__ import annotations

import torch

from edgeq.calibration.blocks import find_blocks
from edgeq.calibration.calls import capture_call
from edgeq.calibration.observe import collect, input_groups
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
