# SPDX-License-Identifier: Apache-2.0
"""Other tools' quantizers, through their own code, one matrix at a time.

Nothing here is needed by edgeq; a tool that is not installed is left out::

    pip install llama-cpp-python gguf hqq
"""

from __future__ import annotations

from competitors.base import Quantizer, UnsuitableError
from competitors.hqq_quantizer import hqq_quantizers
from competitors.llama_cpp import llama_cpp_quantizers
from competitors.onnxruntime_nbits import onnxruntime_quantizers

__all__ = ["Quantizer", "UnsuitableError", "all_quantizers"]


def all_quantizers() -> list[Quantizer]:
    """Every type and setting that is compared."""
    return [*llama_cpp_quantizers(), *hqq_quantizers(), *onnxruntime_quantizers()]
