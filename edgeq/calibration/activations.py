# SPDX-License-Identifier: Apache-2.0
"""Room for the activations of all calibration windows: memory, or a file where they would not fit."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from edgeq.errors import EdgeqError


def allocate(shape: Sequence[int], budget: int, directory: Path) -> Tensor:
    """A float32 tensor, not initialised.

    Args:
        shape: Its shape.
        budget: Bytes that it may take in memory; beyond them it lies in a file that nothing else sees.
        directory: Where that file is made.

    Raises:
        EdgeqError: There is no room for the file.
    """
    count = math.prod(shape)
    if 4 * count <= budget:
        return torch.empty(*shape)
    try:
        # The name goes at once; the space is given back when the tensor is, even if the process is killed.
        with tempfile.NamedTemporaryFile(prefix=".activations-", dir=directory) as file:
            os.posix_fallocate(file.fileno(), 0, 4 * count)  # a full disk shows here, not as a fault in a write
            return torch.from_file(file.name, shared=True, size=count, dtype=torch.float32).reshape(*shape)
    except OSError as error:
        raise EdgeqError(
            f"no room for the activations ({error.strerror})",
            file=directory,
            wanted=f"{4 * count} bytes",
            remedy="free space, raise --memory, or calibrate with fewer or shorter windows",
        ) from error
