# SPDX-License-Identifier: Apache-2.0
"""Measures cells of rounded weights and activations on one model."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from edgeq.calibration.data import read_calibration
from edgeq.calibration.kv_cache import observe_cache
from edgeq.checkpoint import Checkpoint
from edgeq.kv_cache import parse_kv_cache
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import QuantizedModel, quantize_checkpoint
from edgeq.runtime.loading import load
from edgeq.schemes import Scheme
from evidence.bundles import BundleCache
from evidence.cells import Cell
from evidence.eager import EagerEncoder, eager_decoder
from evidence.layer_errors import layer_errors
from evidence.others import VOCABULARY, collect_grams
from evidence.own import bits, linear_bits
from evidence.quality import DecoderQuality, EncoderQuality
from evidence.samples import LENGTH as CALIBRATION_LENGTH
from evidence.samples import SAMPLES, TEXT_CHARACTERS, calibration_data
from evidence.subjects import ENCODER, Subject
from evidence.synthetic import run_synthetic
from evidence.value_cache import SHARED_BY, rounding_values
from evidence.w4a8_grid import CACHE, LAYERS, LENGTH, LENGTHS, SYNTHETIC

TASK_TOKENS = 8192  # read for each task length
Evaluation = Literal["bundle", "eager"]


class W4A8Bench:
    """Everything of this experiment that can be measured on one model.

    Args:
        subject: The model.
        directory: Scratch space.
        evaluation: ``bundle``: exported and run by ONNX Runtime; ``eager``: by PyTorch.
    """

    def __init__(self, subject: Subject, directory: Path, evaluation: Evaluation = "bundle") -> None:
        self._subject, self._directory, self._evaluation = subject, directory, evaluation
        self._encoder = subject.name == ENCODER
        self._quality = EncoderQuality(subject) if self._encoder else DecoderQuality(subject)
        self._bundles = BundleCache(directory)
        self._tasks: dict[int, DecoderQuality] = {}
        self._last: tuple[Cell | None, Any] = (None, None)  # cells that differ in their caches share a quantized model

    def run(self, cell: Cell) -> dict[str, Any]:
        """Measures a cell.

        Raises:
            EdgeqError: edgeq refuses it.
        """
        if cell.method == SYNTHETIC:
            return run_synthetic(cell)
        if cell.method == LAYERS:
            return {"layers": self._layers()}
        if CACHE in dict(cell.options):
            return self._run_cached(cell)
        start = time.perf_counter()
        quantized = self._quantize(cell)
        result = {
            "bits_per_weight": linear_bits(quantized.records),
            "bits_with_vocabulary": bits(quantized.records),
            "quantize_seconds": time.perf_counter() - start,
            "evaluation": self._evaluation,
            "formats": _formats(quantized),
        }
        model = self._runnable(quantized)
        if LENGTH in dict(cell.options) and not self._encoder:
            return result | {"tasks": {str(n): self._task(n).measure(model) for n in LENGTHS[cell.model]}}
        return result | self._quality.measure(model)

    def _run_cached(self, cell: Cell) -> dict[str, Any]:
        """With a quantized cache: in a bundle where ONNX Runtime has the attention for it, else in PyTorch."""
        options = dict(cell.options)
        cache = options.pop(CACHE)
        plain = replace(cell, options=tuple(options.items()))
        if self._last[0] != plain:
            self._last = plain, self._quantize(plain)
        quantized = self._last[1]
        if cache in SHARED_BY:
            with rounding_values(quantized.model, cache):
                return {"evaluation": "eager"} | self._quality.measure(eager_decoder(quantized))
        ids = calibration_data(self._subject, cell.seed or 0).ids
        scales = observe_cache(quantized.model, ids, parse_kv_cache(cache))
        model = load(self._bundles.bundle(replace(quantized, cache_scales=scales)), threads=1, verify=False)
        channels = sum(layer.size for layer in (*scales.keys, *scales.values))
        result = {"evaluation": "bundle", "cache_bytes_per_token": channels * scales.bits / 8}
        return result | self._quality.measure(model)

    def _runnable(self, quantized: QuantizedModel) -> Any:
        if self._evaluation == "bundle":
            return load(self._bundles.bundle(quantized), threads=1, verify=False)
        return EagerEncoder(quantized) if self._encoder else eager_decoder(quantized)

    def _quantize(self, cell: Cell) -> QuantizedModel:
        options = dict(cell.options)
        length = options.pop(LENGTH, None)
        plan = Plan.build(
            Scheme.parse(cell.scheme), vocabulary=Scheme.parse(VOCABULARY), method=cell.method, options=options
        )
        return quantize_checkpoint(
            Checkpoint(self._subject.checkpoint), plan, calibration=self._calibration(cell, length)
        )

    def _calibration(self, cell: Cell, length: int | None) -> Calibration | None:
        if cell.seed is None:
            return None
        if length is None:
            return Calibration(calibration_data(self._subject, cell.seed))
        file = self._directory / "calibration.txt"
        file.write_text(self._subject.calibration[:TEXT_CHARACTERS], encoding="utf-8")
        # As many tokens at every length.
        samples = SAMPLES * CALIBRATION_LENGTH // length
        return Calibration(read_calibration(Checkpoint(self._subject.checkpoint), file, samples, length, cell.seed))

    def _task(self, length: int) -> DecoderQuality:
        if length not in self._tasks:
            windows = max(4, TASK_TOKENS // length)
            self._tasks[length] = DecoderQuality(replace(self._subject), window=length, windows=windows)
        return self._tasks[length]

    def _layers(self) -> dict[str, Any]:
        assert isinstance(self._quality, DecoderQuality)
        model = self._quality.original_model
        return layer_errors(model, collect_grams(model, torch.from_numpy(calibration_data(self._subject, 0).ids)))


def _formats(quantized: QuantizedModel) -> dict[str, int]:
    """How many matrices have each scheme, the vocabulary left out."""
    counts: dict[str, int] = {}
    for record in quantized.records:
        if not any("Gather" in operator for operator in record.operators):
            counts[record.scheme] = counts.get(record.scheme, 0) + 1
    return counts
