# SPDX-License-Identifier: Apache-2.0
"""An allocation quantized, exported, and evaluated by ONNX Runtime from the bundle."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from evidence.others import VOCABULARY
from evidence.own import bits, linear_bits
from evidence.quality import DecoderQuality
from evidence.samples import calibration_data
from evidence.subjects import Subject

from edgeq.checkpoint import Checkpoint
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint
from edgeq.runtime.loading import load
from edgeq.schemes import Scheme
from mixed.allocations import CANDIDATES, Allocation
from mixed.bundles import MixedBundles


class Measure:
    """Measures allocations of one model.

    Args:
        subject: The model.
        directory: Scratch space.
    """

    def __init__(self, subject: Subject, directory: Path) -> None:
        self._subject, self._quality = subject, DecoderQuality(subject)
        self._bundles = MixedBundles(directory)

    def run(self, allocation: Allocation) -> dict[str, Any]:
        """Quality and stored size."""
        plan = Plan.build(
            Scheme.parse(CANDIDATES[1]),
            allocation.layers,
            vocabulary=Scheme.parse(VOCABULARY),
            method=allocation.method,
        )
        calibration = Calibration(calibration_data(self._subject, seed=0))
        quantized = quantize_checkpoint(Checkpoint(self._subject.checkpoint), plan, calibration=calibration)
        model: Any = load(self._bundles.bundle(quantized), threads=1, verify=False)
        linear = [record for record in quantized.records if record.name in allocation.layers]
        result = {
            "bytes": sum(record.size for record in linear),
            "bits_per_weight": linear_bits(quantized.records),
            "bits_with_vocabulary": bits(quantized.records),
            **self._quality.measure(model),
        }
        del model, quantized
        gc.collect()
        return result
