# SPDX-License-Identifier: Apache-2.0
"""Which scheme each layer gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from edgeq.errors import EdgeqError
from edgeq.methods.grids import Clip
from edgeq.methods.pipeline import Pipeline
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
        pipeline: The methods of every layer whose inputs are observed, or of all layers if they need no calibration.
        fallback: Round to nearest, or what the solver wants instead, for the vocabulary and where the inputs are not
            known.
    """

    default: Scheme
    vocabulary: Scheme | None = None
    overrides: tuple[tuple[str, Scheme], ...] = ()
    pipeline: Pipeline = field(default_factory=Pipeline.parse)
    fallback: Pipeline = field(default_factory=Pipeline.parse)

    @classmethod
    def build(
        cls,
        default: Scheme,
        layers: Mapping[str, str] | None = None,
        skip: Sequence[str] = (),
        vocabulary: Scheme | None = None,
        method: str = "rtn",
        clip: Clip | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Plan:
        """A plan from scheme strings by layer pattern, and patterns of layers kept in float32.

        Args:
            default: The default scheme.
            layers: Scheme by layer pattern.
            skip: Patterns of layers kept in float32.
            vocabulary: Scheme of the token embedding and the output head.
            method: Methods joined by ``+`` (`edgeq.methods.registry`).
            clip: How the range of a group is chosen; by default as the method likes it.
            options: Options of the methods by ``METHOD.FIELD``.

        Raises:
            EdgeqError: A scheme, method or option does not exist.
        """
        overrides = [(pattern, Scheme.parse(scheme)) for pattern, scheme in (layers or {}).items()]
        pipeline = Pipeline.parse(method, options)
        fallback = pipeline.for_vocabulary()
        if clip is not None:
            pipeline, fallback = pipeline.with_clip(clip), fallback.with_clip(clip)
        return cls(default, vocabulary, (*overrides, *((pattern, FP32) for pattern in skip)), pipeline, fallback)

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

    @property
    def static_activations(self) -> bool:
        """Whether a scheme has scales of activations from calibration."""
        return any(scheme.activation_mode == "static" for scheme in self.schemes)

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """All that it names for layers other than the vocabulary."""
        return (self.default, *(scheme for _, scheme in self.overrides))

    def describe_method(self) -> str:
        """Methods and options, as recorded in the manifest."""
        return self.pipeline.describe()

    def pipeline_for(self, *, vocabulary: bool = False, observed: bool = False) -> Pipeline:
        """The methods of a layer.

        Args:
            vocabulary: Whether it is the token embedding or the output head.
            observed: Whether its inputs are known.
        """
        return self.fallback if vocabulary or (self.pipeline.calibrated and not observed) else self.pipeline


def matches(pattern: str, name: str) -> bool:
    """Whether a wildcard pattern matches a layer name or its end after a dot."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")
