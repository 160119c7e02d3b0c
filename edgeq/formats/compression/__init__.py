# SPDX-License-Identifier: Apache-2.0
"""Entropy-coded packed weights: the reference encoder and decoder (docs/formats.md, compressed).

`compress` and `decompress` are each other's inverse for any packed tensor of a format that `check_format` accepts.
"""

from __future__ import annotations

from edgeq.formats.compression.codec import CODECS, check_format, compress, decompress
from edgeq.formats.compression.container import Header, read_header

__all__ = ["CODECS", "Header", "check_format", "compress", "decompress", "read_header"]
