# SPDX-License-Identifier: Apache-2.0
"""What a scale per input channel costs: how far outputs move when weights and activations are both rounded.

Source: AQAS (arXiv 2311.05161), section 3: ‖Q_w(W·diag(s))·Q_a(diag(s)⁻¹X) − WX‖², at the outputs of the layers; for
queries, keys and values at the output of the attention module, which is run with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.methods.folding import ActivationQuantizer, Fold, FoldableBlock
from edgeq.methods.grids import Clip
from edgeq.methods.scaling import observed_layers, rounded

Distortion = Callable[[Tensor], float]


def distortion_of(block: FoldableBlock, place: Fold, clip: Clip) -> Distortion:
    """The squared error by scale ``[K]`` at a place.

    Args:
        block: The block; `FoldableBlock.calls` holds the call of the place's attention module, or it is measured at the
            layers' own outputs, on the rows of `LayerStatistics.sample`.
        place: Where the scale is folded.
        clip: Range of a group while scales are compared.

    Raises:
        EdgeqError: There are no rows to measure on.
    """
    if place.attention in block.calls:
        return _AttentionDistortion(block, place, clip)
    return _ProjectionDistortion(block, place, clip)


class _ProjectionDistortion:
    def __init__(self, block: FoldableBlock, place: Fold, clip: Clip) -> None:
        self.block, self.clip, self.layers = block, clip, observed_layers(block, place)
        sample = block.statistics[self.layers[0]].sample
        if sample is None:
            raise EdgeqError("no rows of inputs", field=place.layers[0], wanted="a sample beside the statistics")
        self.inputs = sample
        self.wanted = {layer: sample @ block.weight(layer).T for layer in self.layers}

    def __call__(self, scale: Tensor) -> float:
        rounded_inputs = _RoundedInputs(self.block, scale)
        return sum(self._error(layer, scale, rounded_inputs(layer, self.inputs)) for layer in self.layers)

    def _error(self, layer: str, scale: Tensor, inputs: Tensor) -> float:
        weight = rounded(self.block, layer, scale, self.clip)[1]
        return _squared_difference(inputs @ weight.T, self.wanted[layer])


class _AttentionDistortion:
    def __init__(self, block: FoldableBlock, place: Fold, clip: Clip) -> None:
        self.block, self.clip, self.layers = block, clip, observed_layers(block, place)
        self.module, self.call = block.module.get_submodule(place.attention), block.calls[place.attention]
        self.prefix = f"{place.attention}."
        self.wanted = self.call.run(self.module)

    def __call__(self, scale: Tensor) -> float:
        weights = {}
        for layer in self.layers:
            matrix = rounded(self.block, layer, scale, self.clip)[1]
            weights[f"{layer.removeprefix(self.prefix)}.weight"] = self.block.as_parameter(layer, matrix)

        def quantized(*arguments: Any, **named: Any) -> Any:
            return torch.func.functional_call(self.module, weights, arguments, named)

        with self._rounded_inputs(scale):
            found = self.call.run(quantized)
        return _squared_difference(found, self.wanted)

    @contextmanager
    def _rounded_inputs(self, scale: Tensor) -> Iterator[None]:
        change = _RoundedInputs(self.block, scale)
        handles = [
            self.block.module.get_submodule(layer).register_forward_pre_hook(_hook(change, layer))
            for layer in self.layers
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class _RoundedInputs:
    """Inputs divided by a scale and rounded; layers that read the same ones and round alike share the result."""

    def __init__(self, block: FoldableBlock, scale: Tensor) -> None:
        self._activations, self._scale = block.activations, scale
        self._made: list[tuple[Tensor, ActivationQuantizer | None, Tensor]] = []

    def __call__(self, layer: str, inputs: Tensor) -> Tensor:
        quantize = self._activations.get(layer)
        for source, how, result in self._made:
            if source is inputs and how is quantize:
                return result
        scaled = inputs / self._scale
        self._made.append((inputs, quantize, scaled if quantize is None else quantize(scaled)))
        return self._made[-1][2]


def _squared_difference(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).square_().sum(dtype=torch.float64))


def _hook(change: _RoundedInputs, layer: str) -> Callable[..., tuple[Tensor]]:
    return lambda _, arguments: (change(layer, arguments[0]),)
