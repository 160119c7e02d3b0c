# SPDX-License-Identifier: Apache-2.0
"""Fisher information of a checkpoint's layers, computed once and kept on disk beside the finished blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from edgeq.calibration.fisher import fisher_diagonals
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.progress import Progress
from edgeq.quantization.layers import as_matrix
from edgeq.quantization.loading import checkpoint_loader, materialize
from edgeq.quantization.skeleton import Target, build_skeleton

FILE_NAME = "fisher.safetensors"

Sensitivities = Callable[[Target], Tensor | None]


def no_sensitivities(target: Target) -> None:
    """For methods that want none."""


def fisher_sensitivities(
    checkpoint: Checkpoint, ids: Tensor, targets: Sequence[Target], directory: Path | None, progress: Progress | None
) -> Sensitivities:
    """The diagonal of the Fisher information of each target, float32 ``[N, K]``.

    Args:
        checkpoint: The model; it is loaded as a whole.
        ids: Calibration windows, int64 ``[samples, length]``.
        targets: Layers.
        directory: Where the result is kept, or was by a run that was cut off; ``None`` keeps it in memory.
        progress: Told the stage ``sensitivities``.

    Raises:
        EdgeqError: The model has no loss, or the file cannot be read or written.
    """
    path = None if directory is None else directory / FILE_NAME
    if path is None or not path.exists():
        found = _compute(checkpoint, ids, targets, progress)
        if path is None:
            return lambda target: found[target.name]
        _save(found, path)
    return lambda target: _load(path, target.name)


def _compute(
    checkpoint: Checkpoint, ids: Tensor, targets: Sequence[Target], progress: Progress | None
) -> dict[str, Tensor]:
    model = build_skeleton(checkpoint)
    materialize(model, checkpoint_loader(model, checkpoint))
    diagonals = fisher_diagonals(model, ids, [target.name for target in targets], progress)
    return {target.name: as_matrix(diagonals[target.name], target) for target in targets}


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    partial = path.with_suffix(".partial")
    try:
        save_file(tensors, partial)
        partial.rename(path)
    except (SafetensorError, OSError) as error:
        raise EdgeqError(f"cannot keep the Fisher information ({error})", file=path, remedy="free space") from error


def _load(path: Path, name: str) -> Tensor:
    try:
        with safe_open(path, "pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor
    except (SafetensorError, OSError) as error:
        raise EdgeqError(f"damaged file ({error})", file=path, remedy="delete this file and run again") from error
