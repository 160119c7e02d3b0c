# SPDX-License-Identifier: Apache-2.0
"""edgeq: quantize transformers, export them to ONNX with low-bit operators, run and measure them on edge boards.

Nothing heavy is imported before it is used: ``edgeq.load`` brings in ONNX Runtime, ``edgeq.export`` PyTorch.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from edgeq.version import __version__

if TYPE_CHECKING:
    from edgeq.exporting import export
    from edgeq.runtime.loading import load

# ONNX Runtime's wheels come with telemetry turned on; what the environment says already stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_LAZY = {"export": "edgeq.exporting", "load": "edgeq.runtime.loading"}

__all__ = ["__version__", "export", "load"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'edgeq' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
