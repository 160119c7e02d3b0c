# SPDX-License-Identifier: Apache-2.0
"""Number formats of weights: decode, pack, unpack. NumPy only; docs/formats.md defines the bytes."""

from __future__ import annotations

from edgeq.formats.bcq import BcqFormat, BcqTensor
from edgeq.formats.uniform import UniformFormat, UniformTensor

Format = UniformFormat | BcqFormat
QuantizedTensor = UniformTensor | BcqTensor

FORMATS: dict[str, type[UniformFormat] | type[BcqFormat]] = {cls.name: cls for cls in (UniformFormat, BcqFormat)}

__all__ = ["FORMATS", "BcqFormat", "BcqTensor", "Format", "QuantizedTensor", "UniformFormat", "UniformTensor"]
