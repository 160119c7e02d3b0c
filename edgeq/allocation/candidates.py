# SPDX-License-Identifier: Apache-2.0
"""The schemes among which a budget chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgeq.errors import EdgeqError
from edgeq.formats import Format
from edgeq.presets import DEFAULT_QUALITY, PRESETS
from edgeq.schemes import Scheme

BITS = (2, 3, 4, 8)


def parse_candidates(texts: Sequence[str]) -> tuple[Scheme, ...]:
    """Candidates as they are given.

    Raises:
        EdgeqError: A scheme does not exist, or there are not two different ones.
    """
    schemes = tuple(dict.fromkeys(Scheme.parse(text) for text in texts))
    if len(schemes) < 2:
        raise EdgeqError("nothing to choose", field="--candidates", found=",".join(texts), wanted="two schemes or more")
    return schemes


def default_candidates(scheme: Scheme) -> tuple[Scheme, ...]:
    """The schemes of 2, 3, 4 and 8 bits that go with a default scheme.

    Those of the presets where the scheme is one of them, each with the groups that suit its bits; else the scheme
    itself with other bits, as far as its format has them.

    Raises:
        EdgeqError: The scheme is fp32, or its format has no other bits.
    """
    presets = [Scheme.parse(PRESETS[bits, DEFAULT_QUALITY].data_free.scheme) for bits in BITS]
    if scheme in presets:
        return tuple(presets)
    if scheme.weights is None:
        raise EdgeqError(
            "nothing to choose", field="--scheme", found="fp32", wanted="quantized weights, or --candidates"
        )
    return parse_candidates([str(candidate) for candidate in _variants(scheme, scheme.weights)])


def _variants(scheme: Scheme, weights: Format) -> Iterator[Scheme]:
    for bits in BITS:
        try:
            yield replace(scheme, weights=replace(weights, bits=bits))
        except EdgeqError:
            continue  # the format has no such bits
