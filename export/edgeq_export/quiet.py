# SPDX-License-Identifier: Apache-2.0
"""Silence while PyTorch traces."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_tracing() -> Iterator[None]:
    """Keeps PyTorch's remarks about its own workings (absent torchvision, renamed dimensions) off stderr."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
