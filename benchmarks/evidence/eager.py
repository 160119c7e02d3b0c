# SPDX-License-Identifier: Apache-2.0
"""A quantized model as PyTorch runs it: exactly the products that the operators make, summed in float32.

For schemes whose operator this machine's library lacks, and to compare with what the bundle gives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeq.evaluation.reference import ReferenceDecoder, ReferenceEncoder
from edgeq.quantization.linear import PackedWeight
from edgeq.quantization.quantize import QuantizedModel
from edgeq.runtime.pooling import Pooling
from edgeq.runtime.tokenizer import Tokenizer


def eager_decoder(quantized: QuantizedModel) -> ReferenceDecoder:
    """A quantized decoder."""
    decoder = ReferenceDecoder(str(quantized.checkpoint.directory), threads=1)
    decoder._model = _decoded(quantized.model)
    return decoder


class EagerEncoder(ReferenceEncoder):
    """A quantized encoder with what belongs to it; mean pooling, normalized.

    Args:
        quantized: The encoder.
    """

    def __init__(self, quantized: QuantizedModel) -> None:
        directory: Path = quantized.checkpoint.directory
        self.tokenizer, self.pooling = Tokenizer.from_directory(directory), Pooling()
        super().__init__(str(directory), self.tokenizer.encode, self.pooling, threads=1)
        self._model = _decoded(quantized.model)


def _decoded(model: Any) -> Any:
    """The model with weights that are decoded once for all."""
    for module in model.modules():
        if isinstance(module, PackedWeight):
            matrix = module.dequantize()
            module.dequantize = lambda matrix=matrix: matrix  # type: ignore[method-assign,misc]
    return model.eval()
