# SPDX-License-Identifier: Apache-2.0
"""Which scheme each layer gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from edgeq.errors import EdgeqError
from edgeq.methods.grids import Clip
from edgeq.schemes import Scheme

FP32 = Scheme(None)


@dataclass(frozen=True)
class Plan:
    """A default scheme and overrides by layer name.

    Attributes:
        default: The scheme of every layer that no override matches.
        vocabulary: The same for the token embedding and the output head; the default scheme if there is none.
        overrides: Pattern and scheme; the last match wins. A pattern is a shell-style wildcard for the whole name or
            for its end after a dot: ``lm_head``, ``*.mlp.*``, ``layers.0.*``, ``q_proj``.
        method: Quantization method.
        clip: How round-to-nearest chooses the range of a group.
    """

    default: Scheme
    vocabulary: Scheme | None = None
    overrides: tuple[tuple[str, Scheme], ...] = ()
    method: str = "rtn"
    clip: Clip = "l3"

    @classmethod
    def build(
        cls,
        default: Scheme,
        layers: Mapping[str, str] | None = None,
        skip: Sequence[str] = (),
        vocabulary: Scheme | None = None,
        method: str = "rtn",
        clip: Clip = "l3",
    ) -> Plan:
        """A plan from scheme strings by layer pattern, and patterns of layers kept in float32.

        Raises:
            EdgeqError: A scheme does not exist.
        """
        overrides = [(pattern, Scheme.parse(scheme)) for pattern, scheme in (layers or {}).items()]
        return cls(default, vocabulary, (*overrides, *((pattern, FP32) for pattern in skip)), method, clip)

    def scheme_for(self, *names: str, vocabulary: bool = False) -> Scheme:
        """The scheme of a layer.

        Args:
            names: All its names; a tied embedding and head have two.
            vocabulary: Whether it is the token embedding or the output head.
        """
        chosen = self.vocabulary if vocabulary and self.vocabulary else self.default
        for pattern, scheme in self.overrides:
            if any(matches(pattern, name) for name in names):
                chosen = scheme
        return chosen

    def check_patterns(self, names: Iterable[str]) -> None:
        """Checks that every override applies somewhere.

        Raises:
            EdgeqError: A pattern matches none of the model's layers.
        """
        known = sorted(names)
        for pattern, _ in self.overrides:
            if not any(matches(pattern, name) for name in known):
                examples = ", ".join(known[:2] + known[-2:])
                raise EdgeqError(
                    "pattern matches no layer",
                    field="--layer/--skip",
                    found=repr(pattern),
                    wanted=f"one of {examples} …",
                )

    def describe_method(self) -> str:
        """Method and options, as recorded in the manifest."""
        return f"{self.method} ({self.clip})"


def matches(pattern: str, name: str) -> bool:
    """Whether a wildcard pattern matches a layer name or its end after a dot."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")
