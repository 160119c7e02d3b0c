# SPDX-License-Identifier: Apache-2.0
"""edgeq's cells: quantized, exported, and evaluated by ONNX Runtime from the bundle."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

from edgeq.bundle.manifest import LayerRecord
from edgeq.checkpoint import Checkpoint
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import QuantizedModel, quantize_checkpoint
from edgeq.runtime.loading import load
from edgeq.schemes import Scheme
from evidence.bundles import BundleCache
from evidence.cells import Cell
from evidence.others import VOCABULARY
from evidence.quality import DecoderQuality, EncoderQuality
from evidence.samples import calibration_data
from evidence.subjects import Subject


class OwnTool:
    """Runs cells of edgeq on one model.

    Args:
        subject: The model.
        quality: Its measure.
        directory: Scratch space.
    """

    def __init__(self, subject: Subject, quality: DecoderQuality | EncoderQuality, directory: Path) -> None:
        self._subject, self._quality = subject, quality
        self._bundles = BundleCache(directory)

    def run(self, cell: Cell) -> dict[str, Any]:
        """Quantizes, exports and evaluates."""
        start = time.perf_counter()
        quantized = self._quantize(cell)
        seconds = time.perf_counter() - start
        model: Any = load(self._bundles.bundle(quantized), threads=1, verify=False)
        result = {
            "bits_per_weight": linear_bits(quantized.records),
            "bits_with_vocabulary": bits(quantized.records),
            "quantize_seconds": seconds,
            **self._quality.measure(model),
        }
        del model, quantized
        gc.collect()
        return result

    def _quantize(self, cell: Cell) -> QuantizedModel:
        plan = Plan.build(
            Scheme.parse(cell.scheme),
            vocabulary=Scheme.parse(VOCABULARY),
            method=cell.method,
            options=dict(cell.options),
        )
        calibration = None if cell.seed is None else Calibration(calibration_data(self._subject, cell.seed))
        return quantize_checkpoint(Checkpoint(self._subject.checkpoint), plan, calibration=calibration)


def bits(records: list[LayerRecord]) -> float:
    """Stored bits per weight, as ``edgeq.json`` tells them."""
    return 8 * sum(record.size for record in records) / sum(record.rows * record.columns for record in records)


def linear_bits(records: list[LayerRecord]) -> float:
    """The same without token embedding and output head."""
    return bits([record for record in records if not any("Gather" in operator for operator in record.operators)])
