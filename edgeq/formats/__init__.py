# SPDX-License-Identifier: Apache-2.0
"""Number formats of weights: decode, pack, unpack. NumPy only; docs/formats.md defines the bytes."""

from __future__ import annotations

from edgeq.formats.bcq import BcqFormat, BcqTensor
from edgeq.formats.codebook import CodebookFormat, CodebookTensor
from edgeq.formats.dint import DintFormat, DintTensor
from edgeq.formats.uniform import UniformFormat, UniformTensor

Format = UniformFormat | BcqFormat | CodebookFormat | DintFormat
QuantizedTensor = UniformTensor | BcqTensor | CodebookTensor | DintTensor

FORMATS: dict[str, type[UniformFormat] | type[BcqFormat] | type[CodebookFormat] | type[DintFormat]] = {
    cls.name: cls for cls in (UniformFormat, BcqFormat, CodebookFormat, DintFormat)
}

__all__ = [
    "FORMATS",
    "BcqFormat",
    "BcqTensor",
    "CodebookFormat",
    "CodebookTensor",
    "DintFormat",
    "DintTensor",
    "Format",
    "QuantizedTensor",
    "UniformFormat",
    "UniformTensor",
]
