# SPDX-License-Identifier: Apache-2.0
"""Scheme strings: how the weights and activations of a layer are represented.

Grammar: ``w{bits}[a{bits}][g{group}][-{format}][-sym|-asym]`` or ``fp32``;
e.g. ``w4g128``, ``w3g64-bcq``, ``w8``, ``w4a32g32-asym``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeq.errors import EdgeqError
from edgeq.formats import FORMATS, Format, UniformFormat

_GRAMMAR = re.compile(
    r"w(?P<bits>\d+)(a(?P<activation>\d+))?(g(?P<group>\d+))?(-(?P<format>(?!a?sym$)[a-z]+))?(-(?P<sym>a?sym))?"
)
DEFAULT_GROUP_SIZE = 128
ACTIVATION_BITS = (8, 32)


@dataclass(frozen=True)
class Scheme:
    """How one linear layer is quantized.

    Attributes:
        weights: The number format of the weights; ``None`` keeps them in float32.
        activation_bits: 8: int8 activations are part of the scheme; 32: activations stay float32;
            ``None``: the operator may quantize activations to 8 bits on the fly.
    """

    weights: Format | None
    activation_bits: int | None = None

    def __str__(self) -> str:
        if self.weights is None:
            return "fp32"
        activation = f"a{self.activation_bits}" if self.activation_bits else ""
        return f"w{self.weights.bits}{activation}{self.weights.scheme_suffix}"

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Reads a scheme string.

        Raises:
            EdgeqError: The string does not follow the grammar or names a combination that does not exist.
        """
        if text == "fp32":
            return cls(None)
        match = _GRAMMAR.fullmatch(text)
        if match is None:
            raise EdgeqError(
                "unknown scheme",
                field="scheme",
                found=repr(text),
                wanted="w{bits}[a{bits}][g{group}][-{format}][-sym|-asym] or fp32",
            )
        name = match["format"] or "uniform"
        if name not in FORMATS:
            raise EdgeqError("unknown format", field=f"scheme {text}", found=name, wanted=" or ".join(sorted(FORMATS)))
        activation = int(match["activation"]) if match["activation"] else None
        if activation not in (None, *ACTIVATION_BITS):
            raise EdgeqError("unsupported activation bits", field=f"scheme {text}", found=activation, wanted="8 or 32")
        weights = FORMATS[name].from_scheme(int(match["bits"]), int(match["group"] or 0), match["sym"])
        return cls(weights, activation)

    def for_vocabulary(self) -> Scheme:
        """What token embeddings and output heads get under this scheme: at least 8 bits, where errors cost the most."""
        if self.weights is None or self.weights.bits == 8:
            return self
        return Scheme(UniformFormat(8, self.weights.group_size), self.activation_bits)

    @classmethod
    def from_bits(cls, bits: int, group_size: int = DEFAULT_GROUP_SIZE) -> Scheme:
        """The default scheme for a number of bits: uniform, symmetric, groups of 128."""
        return cls(UniformFormat(bits, group_size))
