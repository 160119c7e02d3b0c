# SPDX-License-Identifier: Apache-2.0
"""Quantizes or trains a variant, exports it, and evaluates the bundle: one export per graph traces the model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from evidence.bundles import BundleCache
from evidence.quality import DecoderQuality
from evidence.samples import calibration_data
from evidence.subjects import SEPARATOR, Subject

from edgeq.checkpoint import Checkpoint
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.quantize import QuantizedModel, quantize_checkpoint
from edgeq.recipe import build_recipe
from edgeq.runtime.loading import load
from edgeq.texts import read_text
from edgeq.training.loop import Report
from edgeq.training.train import train
from trained.variants import Variant, training_settings

TRAINING_STORIES = 1700  # of 2,317; 1,800 and on are what models are evaluated on
TRAINING_CHARACTERS = 5_900_000  # of books.calibration.txt; the evaluation text is of two other books


class Bench:
    """Measures the variants of one model.

    Args:
        subject: The model and its texts.
        data: Directory with ``data``.
        directory: Where trained checkpoints are kept.
        scratch: Where bundles are made.
    """

    def __init__(self, subject: Subject, data: Path, directory: Path, scratch: Path) -> None:
        self.subject, self.data, self.directory = subject, data, directory
        self._quality, self._bundles = DecoderQuality(subject), BundleCache(scratch)

    def run(self, variant: Variant, report: Report | None = None) -> dict[str, Any]:
        """Stored bytes of the matrices, and quality through the bundle."""
        quantized = self.quantized(variant, report)
        model: Any = load(self._bundles.bundle(quantized), threads=1, verify=False)
        size = sum(record.size for record in quantized.records)
        return {
            "weight_bytes": size // (2 if variant.method == "fp16" else 1),
            "weights": sum(record.rows * record.columns for record in quantized.records),
            **self._quality.measure(model),
        }

    def quantized(self, variant: Variant, report: Report | None = None) -> QuantizedModel:
        """The model; trained first where it has not been."""
        cell = variant.cell(self.subject.name)
        if variant.method in ("fp32", "fp16"):
            source = self.subject.checkpoint if variant.method == "fp32" else self._rounded()
            return quantize_checkpoint(Checkpoint(source), build_recipe(model=str(source), scheme="fp32").plan())
        source = self._trained(variant, report) if variant.method == "qat" else self.subject.checkpoint
        options = {} if variant.method == "qat" else dict(variant.options)
        recipe = build_recipe(model=str(source), scheme=cell.scheme, method=variant.method, method_options=options)
        calibration = None if cell.seed is None else Calibration(calibration_data(self.subject, cell.seed))
        quantized = quantize_checkpoint(Checkpoint(source), recipe.plan(), calibration=calibration)
        # Trained or not, the graph of a scheme is the same.
        return replace(quantized, checkpoint=Checkpoint(self.subject.checkpoint))

    def _trained(self, variant: Variant, report: Report | None) -> Path:
        gamma = str(dict(variant.options)["gamma"])
        cell = variant.cell(self.subject.name)
        output = self.directory / f"{self.subject.name}-{cell.scheme}-{gamma}"
        if not output.is_dir():
            settings = training_settings(self.subject.name, variant.bits, gamma)
            outcome = train(self.subject.checkpoint, self._text(), output, settings, report=report, save_every=25)
            if not outcome.complete:  # the next run goes on from there
                raise KeyboardInterrupt
        return output

    def _text(self) -> Path:
        """The training text, cut so that nothing of the evaluation text is in it."""
        kind = "books" if self.subject.name == "books-6m" else "stories"
        path = self.directory / f"{kind}-train.txt"
        if not path.is_file():
            if kind == "books":
                text = read_text(self.data / "data" / "books.calibration.txt")[:TRAINING_CHARACTERS]
            else:
                stories = read_text(self.data / "data" / "tinystories.txt").split(SEPARATOR)
                text = "\n\n".join(story.strip() for story in stories[:TRAINING_STORIES])
            path.write_text(text, encoding="utf-8")
        return path

    def _rounded(self) -> Path:
        """The checkpoint with its parameters rounded to float16; it runs in float32."""
        from safetensors.torch import load_file, save_file

        output = self.directory / f"{self.subject.name}-fp16"
        if not output.is_dir():
            shutil.copytree(self.subject.checkpoint, output)
            tensors = load_file(output / "model.safetensors")
            save_file({k: v.to(torch.float16).float() for k, v in tensors.items()}, output / "model.safetensors")
        return output
