# SPDX-License-Identifier: Apache-2.0
"""Number formats of weights: decode, pack, unpack. NumPy only; docs/formats.md defines the bytes."""

from __future__ import annotations

from edgeq.formats.bcq import BcqFormat, BcqTensor
from edgeq.formats.codebook import CodebookFormat, CodebookTensor
from edgeq.formats.uniform import UniformFormat, UniformTensor

Format = UniformFormat | BcqFormat | CodebookFormat
QuantizedTensor = UniformTensor | BcqTensor | CodebookTensor

FORMATS: dict[str, type[UniformFormat] | type[BcqFormat] | type[CodebookFormat]] = {
    cls.name: cls for cls in (UniformFormat, BcqFormat, CodebookFormat)
}

__all__ = [
    "FORMATS",
    "BcqFormat",
    "BcqTensor",
    "CodebookFormat",
    "CodebookTensor",
    "Format",
    "QuantizedTensor",
    "UniformFormat",
    "UniformTensor",
]
