# SPDX-License-Identifier: Apache-2.0
"""Cells of other tools: their decoded weights in the original model, evaluated in PyTorch (float32).

The token embedding and the output head are what edgeq's cells hold: 8 bits in groups of 32, rounded to nearest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from competitors import Quantizer, UnsuitableError, all_quantizers
from numpy.typing import NDArray
from torch import nn

from edgeq.calibration.statistics import StatisticsAccumulator
from edgeq.evaluation.reference import ReferenceDecoder
from edgeq.methods import rtn
from edgeq.schemes import Scheme
from evidence.cells import Cell
from evidence.quality import DecoderQuality, torch_model
from evidence.samples import calibration_data
from evidence.subjects import Subject

VOCABULARY = "w8g32"
Grams = dict[str, NDArray[np.float64]]


def other_cells(model: str, seed: int, *, first: bool) -> list[Cell]:
    """A cell of every type of every tool; those that are not calibrated only for the first sample."""
    return [
        Cell(model, quantizer.scheme, quantizer.method, (), seed if quantizer.calibrated else None, quantizer.tool)
        for quantizer in all_quantizers()
        if first or quantizer.calibrated
    ]


class OtherTools:
    """Runs cells of other tools on one decoder.

    Args:
        subject: The decoder.
        quality: Its measure.
    """

    def __init__(self, subject: Subject, quality: DecoderQuality) -> None:
        self._subject, self._quality = subject, quality
        self._quantizers = {(q.tool, q.scheme, q.method): q for q in all_quantizers()}
        self._grams: dict[int, Grams] = {}

    def run(self, cell: Cell) -> dict[str, Any]:
        """Quantizes and evaluates; shapes that the type cannot hold are told as such."""
        quantizer = self._quantizers[(cell.tool, cell.scheme, cell.method)]
        grams = None if cell.seed is None else self._grams_of(cell.seed)
        decoder = ReferenceDecoder(str(self._subject.checkpoint), threads=1)
        start = time.perf_counter()
        try:
            bits = replace_weights(torch_model(decoder), quantizer, grams)
        except UnsuitableError as error:
            return {"unsuitable": str(error)}
        seconds = time.perf_counter() - start
        return {"bits_per_weight": bits, "quantize_seconds": seconds, **self._quality.measure(decoder)}

    def _grams_of(self, seed: int) -> Grams:
        if seed not in self._grams:
            ids = torch.from_numpy(calibration_data(self._subject, seed).ids)
            self._grams[seed] = collect_grams(self._quality.original_model, ids)
        return self._grams[seed]


def collect_grams(model: Any, ids: torch.Tensor) -> Grams:
    """XᵀX / tokens of every linear layer but the head, of the original model."""
    sums = {name: StatisticsAccumulator(layer.in_features) for name, layer in linear_layers(model)}
    hooks = [
        layer.register_forward_pre_hook(lambda _, arguments, name=name: sums[name].add(arguments[0]))
        for name, layer in linear_layers(model)
    ]
    with torch.inference_mode():
        for row in ids:
            model(row[None])
    for hook in hooks:
        hook.remove()
    return {name: result.gram.numpy() / result.tokens for name, result in ((n, s.result()) for n, s in sums.items())}


def replace_weights(model: Any, quantizer: Quantizer, grams: Grams | None) -> float:
    """Puts decoded weights into the linear layers, the vocabulary at 8 bits; returns the stored bits per weight."""
    stored = weights = 0.0
    for name, layer in linear_layers(model):
        decoded = quantizer.quantize(layer.weight.detach().numpy(), None if grams is None else grams[name])
        layer.weight.data = torch.from_numpy(decoded)
        stored += decoded.size * quantizer.bits(*decoded.shape)
        weights += decoded.size
    for layer in {model.get_input_embeddings(), model.get_output_embeddings()}:
        layer.weight.data = _vocabulary(layer.weight.data)
    return stored / weights


def linear_layers(model: Any) -> Iterator[tuple[str, nn.Linear]]:
    """The linear layers but the output head."""
    head = model.get_output_embeddings()
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and layer is not head:
            yield name, layer


def _vocabulary(weight: torch.Tensor) -> torch.Tensor:
    fmt = Scheme.parse(VOCABULARY).weights
    assert fmt is not None
    return torch.from_numpy(fmt.decode(rtn.quantize(weight, fmt)))  # type: ignore[arg-type]  # the format's own tensor
