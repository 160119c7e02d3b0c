# SPDX-License-Identifier: Apache-2.0
"""Scheme strings: how the weights and activations of a layer are represented.

Grammar: ``w{bits}[a{8|8t|8ta|8s|16|32}][g{group}][-{format}][-sym|-asym]`` or ``fp32``;
e.g. ``w4g128``, ``w3g64-bcq``, ``w8``, ``w4a32g32-asym``, ``w4a8ta-dint0.25``, ``w3a8-auto``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from edgeq.errors import EdgeqError
from edgeq.formats import FORMATS, DintFormat, Format, UniformFormat
from edgeq.formats.dint import BITS as DINT_BITS
from edgeq.formats.dint import NAMES as DINT_NAMES

ActivationMode = Literal["block", "token", "token-asym", "static"]

_GRAMMAR = re.compile(
    r"w(?P<bits>\d+)(a(?P<activation>\d+[a-z]*?))?(g(?P<group>\d+))?"
    r"(-(?P<format>(?!a?sym$)[a-z]+(\d+\.\d+)?))?(-(?P<sym>a?sym))?"
)
_WANTED = "w{bits}[a{8|8t|8ta|8s|16|32}][g{group}][-{format}][-sym|-asym] or fp32"
AUTO = "auto"  # in place of a format: the best of those of the same size, layer by layer
_LAST_DENOMINATOR = list(DINT_NAMES)[-1]
DEFAULT_GROUP_SIZE = 128
# How activations are spelled in a scheme: bits and, of 8 bits, what shares a scale.
ACTIVATIONS: dict[str, tuple[int, ActivationMode]] = {
    "8": (8, "block"),
    "8t": (8, "token"),
    "8ta": (8, "token-asym"),
    "8s": (8, "static"),
    "16": (16, "block"),
    "32": (32, "block"),
}
_SPELLING = {meaning: spelling for spelling, meaning in ACTIVATIONS.items()}


@dataclass(frozen=True)
class Scheme:
    """How one linear layer is quantized.

    Attributes:
        weights: The number format of the weights; ``None`` keeps them in float32.
        activation_bits: 8: int8 activations are part of the scheme; 16: activations and arithmetic in bfloat16;
            32: activations stay float32; ``None``: the operator may quantize activations to 8 bits on the fly.
        activation_mode: Of 8 bits, what shares a scale. ``block``: 128 inputs of a token; ``token``: a token;
            ``token-asym``: a token, from its least to its largest activation; ``static``: all tokens, from calibration.
        auto: Whether each layer gets the one of `formats` with the least error; ``weights`` is then the first of them.
    """

    weights: Format | None
    activation_bits: int | None = None
    activation_mode: ActivationMode = "block"
    auto: bool = False

    def __str__(self) -> str:
        if self.weights is None:
            return "fp32"
        activation = f"a{_SPELLING[self.activation_bits, self.activation_mode]}" if self.activation_bits else ""
        suffix = self.formats[-1].scheme_suffix
        if self.auto:
            suffix = suffix.replace(DINT_NAMES[_LAST_DENOMINATOR], AUTO)
        return f"w{self.weights.bits}{activation}{suffix}"

    @property
    def formats(self) -> tuple[Format, ...]:
        """The number formats that a layer may get, of the same size; none where the weights stay float32."""
        fmt = self.weights
        if fmt is None or not self.auto:
            return () if fmt is None else (fmt,)
        assert isinstance(fmt, UniformFormat)
        dint = (DintFormat(fmt.bits, fmt.group_size, fmt.symmetric, denominator) for denominator in DINT_NAMES)
        return (fmt, *dint)

    def with_format(self, fmt: Format) -> Scheme:
        """The same with a format that was chosen."""
        return replace(self, weights=fmt, auto=False)

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
                wanted=_WANTED,
            )
        auto = match["format"] == AUTO
        name = "uniform" if auto else match["format"] or "uniform"
        if name not in FORMATS:
            known = " or ".join(sorted([*FORMATS, AUTO]))
            raise EdgeqError("unknown format", field=f"scheme {text}", found=name, wanted=known)
        spelling = match["activation"]
        if spelling is not None and spelling not in ACTIVATIONS:
            raise EdgeqError(
                "unsupported activation bits", field=f"scheme {text}", found=spelling, wanted=" or ".join(ACTIVATIONS)
            )
        bits = int(match["bits"])
        if auto and bits not in DINT_BITS:
            wanted = f"{' or '.join(map(str, DINT_BITS))}: other bits have one format of their size"
            raise EdgeqError("nothing to choose between", field=f"scheme {text}", found=f"{bits} bits", wanted=wanted)
        weights = FORMATS[name](bits, int(match["group"] or 0), match["sym"])
        scheme = cls(weights) if spelling is None else cls(weights, *ACTIVATIONS[spelling])
        return replace(scheme, auto=auto)

    def in_format(self, name: str) -> Scheme:
        """The same bits, groups and activations in another format.

        Args:
            name: As in a scheme string.

        Raises:
            EdgeqError: There is no such format, or not of these bits.
        """
        if self.weights is None:
            return self
        activation, _, rest = str(self).partition("-")
        symmetry = "-asym" if rest.endswith("asym") else ""
        return Scheme.parse(f"{activation}-{name}{symmetry}")

    def for_vocabulary(self) -> Scheme:
        """What token embeddings and output heads get under this scheme: at least 8 bits, where errors cost the most.

        Calibration observes blocks, not the head; its activations get a scale per token instead of a static one.
        """
        if self.weights is None:
            return self
        weights = self.weights if self.weights.bits == 8 else UniformFormat(8, self.weights.group_size)
        mode: ActivationMode = "token" if self.activation_mode == "static" else self.activation_mode
        return Scheme(weights, self.activation_bits, mode)

    @classmethod
    def from_bits(cls, bits: int, group_size: int = DEFAULT_GROUP_SIZE) -> Scheme:
        """The default scheme for a number of bits: uniform, symmetric, groups of 128."""
        return cls(UniformFormat(bits, group_size))
