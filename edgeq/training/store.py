# SPDX-License-Identifier: Apache-2.0
"""Where a training keeps its state: a work directory that belongs to one set of settings."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from edgeq.checkpoint import Checkpoint
from edgeq.quantization.work_directory import Fingerprint, WorkDirectory, library_versions
from edgeq.training.data import Texts
from edgeq.training.settings import Settings

STATE, BEST = 0, 1  # files of the work directory


class Store:
    """States of one training.

    Args:
        work: Its directory; that of processes which save nothing is none.
    """

    def __init__(self, work: WorkDirectory) -> None:
        self._work = work

    @classmethod
    def open(cls, directory: Path | None, fingerprint: Fingerprint) -> Store:
        """Makes the directory, or continues the training that it holds.

        Raises:
            EdgeqError: It holds a training with other settings, which are named, or files of another kind.
        """
        return cls(WorkDirectory.open(directory, fingerprint))

    @classmethod
    def none(cls) -> Store:
        """A store that keeps nothing."""
        return cls(WorkDirectory.open(None, {}))

    def load(self, name: int) -> dict[str, Tensor] | None:
        """A state, ``None`` if there is none."""
        return self._work.load(name)

    def save(self, name: int, tensors: dict[str, Tensor]) -> None:
        """Keeps a state; the file appears whole or not at all."""
        self._work.save(name, tensors)

    def remove(self) -> None:
        """Deletes the directory: the training is complete."""
        self._work.remove()

    def release(self) -> None:
        """Lets another training open the directory."""
        self._work.release()


def training_fingerprint(checkpoint: Checkpoint, settings: Settings, texts: Texts, processes: int) -> Fingerprint:
    """All that the result depends on."""
    values = {name: str(value) for name, value in settings.model_dump().items()}
    return {
        **values,
        "model": checkpoint.content_fingerprint,
        "text": texts.training.fingerprint,
        "validation": "none" if texts.validation is None else texts.validation.fingerprint,
        "processes": processes,
        **library_versions(),
    }
