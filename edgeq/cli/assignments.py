# SPDX-License-Identifier: Apache-2.0
"""Options of the form NAME=VALUE that several verbs share."""

from __future__ import annotations

from edgeq.errors import EdgeqError


def parse_layers(layers: list[str] | None) -> dict[str, str] | None:
    """Scheme by layer pattern, from ``--layer PATTERN=SCHEME``; ``None`` without any.

    Raises:
        EdgeqError: One is malformed.
    """
    if not layers:
        return None
    overrides = {}
    for text in layers:
        pattern, separator, scheme = text.partition("=")
        if not (pattern and separator and scheme):
            raise EdgeqError(
                "malformed override", field="--layer", found=repr(text), wanted="PATTERN=SCHEME, such as lm_head=w8g64"
            )
        overrides[pattern] = scheme
    return overrides


def parse_method_options(options: list[str] | None, magr_alpha: str | None = None) -> dict[str, str] | None:
    """Options by ``METHOD.FIELD``, from ``METHOD.FIELD=VALUE`` and ``--magr-alpha``; ``None`` without any.

    Raises:
        EdgeqError: One is malformed.
    """
    texts = [*(options or []), *([f"magr.alpha={magr_alpha}"] if magr_alpha else [])]
    if not texts:
        return None
    values = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (name and separator and value):
            raise EdgeqError(
                "malformed option",
                field="--method-option",
                found=repr(text),
                wanted="METHOD.FIELD=VALUE, such as gptq.act_order=true",
            )
        values[name] = value
    return values
