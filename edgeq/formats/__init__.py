# SPDX-License-Identifier: Apache-2.0
"""Number formats of weights: decode, pack, unpack. NumPy only; docs/formats.md defines the bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgeq.formats.bcq import BcqFormat, BcqTensor
from edgeq.formats.codebook import CodebookFormat, CodebookTensor
from edgeq.formats.dint import NAMES as DINT_NAMES
from edgeq.formats.dint import DintFormat, DintTensor
from edgeq.formats.uniform import UniformFormat, UniformTensor

Format = UniformFormat | BcqFormat | CodebookFormat | DintFormat
QuantizedTensor = UniformTensor | BcqTensor | CodebookTensor | DintTensor

# By the name in a scheme string: a function of bits, group size (0: one per row) and symmetry ("sym", "asym", None).
FORMATS: dict[str, Callable[[int, int, str | None], Format]] = {
    UniformFormat.name: UniformFormat.from_scheme,
    BcqFormat.name: BcqFormat.from_scheme,
    CodebookFormat.name: CodebookFormat.from_scheme,
    **{name: partial(DintFormat.from_scheme, denominator=value) for value, name in DINT_NAMES.items()},
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
