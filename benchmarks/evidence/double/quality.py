# SPDX-License-Identifier: Apache-2.0
"""Size and quality of one configuration; the quality is that of the exported bundle, which decoding does not change."""

from __future__ import annotations

import gc
import time
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

from edgeq.checkpoint import Checkpoint
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.embedding import QuantEmbedding
from edgeq.quantization.linear import PackedWeight, QuantLinear
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import QuantizedModel, quantize_checkpoint
from edgeq.runtime.loading import load
from edgeq.schemes import Scheme
from evidence.bundles import BundleCache
from evidence.cells import Cell
from evidence.double.sizes import coded_sizes
from evidence.others import VOCABULARY
from evidence.quality import DecoderQuality, EncoderQuality
from evidence.samples import calibration_data
from evidence.subjects import ENCODER, Subject


class CompressionBench:
    """Runs cells on one model.

    Args:
        subject: The model.
        directory: Scratch space.
    """

    def __init__(self, subject: Subject, directory: Path) -> None:
        self._subject, self._bundles = subject, BundleCache(directory)

    @cached_property
    def _quality(self) -> DecoderQuality | EncoderQuality:
        return EncoderQuality(self._subject) if self._subject.name == ENCODER else DecoderQuality(self._subject)

    def run(self, cell: Cell) -> dict[str, Any]:
        """Quantizes, codes, exports and evaluates."""
        start = time.perf_counter()
        quantized = self._quantize(cell)
        seconds = time.perf_counter() - start
        linear, vocabulary = _sizes(quantized)
        model: Any = load(self._bundles.bundle(quantized), threads=1, verify=False)
        result = {
            "quantize_seconds": seconds,
            "linear": dict(linear),
            "vocabulary": dict(vocabulary),
            **self._quality.measure(model),
        }
        del model, quantized
        gc.collect()
        return result

    def _quantize(self, cell: Cell) -> QuantizedModel:
        options = dict(cell.options)
        coded = any(name.endswith("vocabulary_bits") for name in options)
        plan = Plan.build(
            Scheme.parse(cell.scheme),
            vocabulary=Scheme.parse("w8" if coded else VOCABULARY),
            method=cell.method,
            options=options,
        )
        calibration = None if cell.seed is None else Calibration(calibration_data(self._subject, cell.seed))
        return quantize_checkpoint(Checkpoint(self._subject.checkpoint), plan, calibration=calibration)


def _sizes(quantized: QuantizedModel) -> tuple[Counter[str], Counter[str]]:
    """Bytes by coder, and the number of weights, of the linear layers and of token embedding and output head."""
    linear: Counter[str] = Counter()
    vocabulary: Counter[str] = Counter()
    for weight, shared in _weights(quantized).values():
        sizes = coded_sizes(weight) | {"weights": float(weight.rows * weight.columns)}
        (vocabulary if shared else linear).update(sizes)
    return linear, vocabulary


def _weights(quantized: QuantizedModel) -> dict[int, tuple[PackedWeight, bool]]:
    """The packed matrices, tied ones once, and whether each belongs to the vocabulary."""
    found: dict[int, tuple[PackedWeight, bool]] = {}
    for name, module in quantized.model.named_modules():
        if isinstance(module, QuantLinear | QuantEmbedding):
            is_vocabulary = isinstance(module, QuantEmbedding) or name.endswith("lm_head")
            known = found.get(id(module.weight))
            found[id(module.weight)] = (module.weight, is_vocabulary or (known is not None and known[1]))
    return found
