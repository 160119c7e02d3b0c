# SPDX-License-Identifier: Apache-2.0
"""Quantizes or trains a variant, exports it, and evaluates the bundle."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from evidence.cells import Cell
from evidence.quality import DecoderQuality
from evidence.samples import calibration_data
from evidence.subjects import SEPARATOR, Subject

import edgeq_export
from edgeq.checkpoint import Checkpoint
from edgeq.exporting import export
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.quantize import quantize_checkpoint
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
        directory: Where trained checkpoints and bundles are kept.
    """

    def __init__(self, subject: Subject, data: Path, directory: Path) -> None:
        self.subject, self.data, self.directory = subject, data, directory
        self._quality = DecoderQuality(subject)

    def run(self, variant: Variant, report: Report | None = None) -> dict[str, Any]:
        """Size of the bundle, bits per weight, and quality through the bundle."""
        bundle = self.bundle(variant, report)
        manifest = load_manifest(bundle)
        model: Any = load(bundle, threads=1)
        weights = sum(record.rows * record.columns for record in manifest.layers)
        return {
            "weight_bytes": sum(record.size for record in manifest.layers) // (2 if variant.method == "fp16" else 1),
            "weights": weights,
            "bundle_bytes": sum(record.size for record in manifest.files.values()),
            **self._quality.measure(model),
        }

    def bundle(self, variant: Variant, report: Report | None = None) -> Path:
        """The exported model; trained first where it has not been."""
        cell = variant.cell(self.subject.name)
        output = self.directory / "bundles" / _name(cell)
        if output.is_dir():
            return output
        output.parent.mkdir(parents=True, exist_ok=True)
        if variant.method == "qat":
            export(self._trained(variant, report), output, method="qat")
        elif variant.method == "fp16":
            export(self._rounded(), output, scheme="fp32")
        elif variant.method == "fp32":
            export(self.subject.checkpoint, output, scheme="fp32")
        else:
            recipe = build_recipe(
                model=str(self.subject.checkpoint),
                scheme=cell.scheme,
                method=variant.method,
                method_options=dict(variant.options),
            )
            data = calibration_data(self.subject, cell.seed) if cell.seed is not None else None
            calibration = None if data is None else Calibration(data)
            quantized = quantize_checkpoint(Checkpoint(self.subject.checkpoint), recipe.plan(), calibration=calibration)
            edgeq_export.export_bundle(quantized, output)
        return output

    def _trained(self, variant: Variant, report: Report | None) -> Path:
        gamma = str(dict(variant.options)["gamma"])
        cell = variant.cell(self.subject.name)
        output = self.directory / f"{self.subject.name}-{cell.scheme}-{gamma}"
        if not output.is_dir():
            settings = training_settings(self.subject.name, variant.bits, gamma)
            train(self.subject.checkpoint, self._text(), output, settings, report=report, save_every=25)
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


def load_manifest(bundle: Path) -> Any:
    """The bundle's ``edgeq.json``."""
    from edgeq.bundle.manifest import read_manifest

    return read_manifest(bundle)


def _name(cell: Cell) -> str:
    options = "-".join(f"{name}={value}" for name, value in cell.options)
    return "-".join(part for part in (cell.model, cell.scheme, cell.method, options) if part)
