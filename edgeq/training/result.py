# SPDX-License-Identifier: Apache-2.0
"""The trained checkpoint: latent weights, quantizers, and how they came about."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.quantization.trained import QUANTIZERS_NAME, TRAINING_NAME
from edgeq.training.student import Student

# What `save_pretrained` writes itself, and what would not be true of the new weights.
NOT_COPIED = ("config.json", "model.safetensors.index.json", TRAINING_NAME)
COPIED = ("*.json", "*.model", "*.txt", "*.jinja")


def check_output(output: Path, force: bool) -> None:
    """Checks that a checkpoint can be written.

    Raises:
        EdgeqError: The directory holds something already, or there is none to put it into.
    """
    if not output.absolute().parent.is_dir():
        raise EdgeqError("no such directory", file=output.absolute().parent, field="--output")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())) and not force:
        raise EdgeqError(
            "output exists already",
            file=output,
            field="--output",
            remedy="choose another, or add --force to replace it",
        )


def write_checkpoint(output: Path, student: Student, source: Checkpoint, training: dict[str, Any]) -> None:
    """Writes the checkpoint; the directory appears whole or not at all.

    Args:
        output: The directory; what is there is replaced.
        student: What was trained.
        source: The original, whose tokenizer is copied.
        training: For ``training.json``.

    Raises:
        EdgeqError: It cannot be written.
    """
    partial = output.absolute().with_name(f".{output.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _fill(partial, student, source, training)
        if output.exists():
            shutil.rmtree(output)
        partial.rename(output)
    except OSError as error:
        raise EdgeqError(f"cannot write ({error.strerror})", file=output, remedy="free space") from error


def _fill(directory: Path, student: Student, source: Checkpoint, training: dict[str, Any]) -> None:
    model: Any = student.model
    model.cpu().save_pretrained(directory, safe_serialization=True)
    for pattern in COPIED:
        for file in source.directory.glob(pattern):
            if file.name not in NOT_COPIED:
                shutil.copyfile(file, directory / file.name)
    tensors, schemes = {}, {}
    for name, quantizer in student.quantizers.items():
        scales, zeros = quantizer.stored()
        tensors[f"{name}.scales"] = scales.contiguous()
        if zeros is not None:
            tensors[f"{name}.zero_points"] = zeros.contiguous()
        schemes[name] = str(student.targets[name][1])
    chosen = {name: training["settings"][name] for name in ("scheme", "vocabulary", "layers", "skip")}
    # One entry: safetensors writes several in any order.
    metadata = {"edgeq": json.dumps({"schemes": schemes, "settings": chosen})}
    save_file(tensors, directory / QUANTIZERS_NAME, metadata)
    (directory / TRAINING_NAME).write_text(json.dumps(training, indent=1) + "\n", encoding="utf-8")
