# SPDX-License-Identifier: Apache-2.0
"""The options of a generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from edgeq.bundle.genai_config import Search
from edgeq.runtime.sampling import SamplingOptions

DEFAULT_MAX_NEW_TOKENS = 256


class GenerateOptions(TypedDict, total=False):
    """Keyword arguments of `edgeq.runtime.model.Model.generate`; ``None`` is the same as leaving it out.

    Attributes:
        max_new_tokens: Tokens to generate at most (256); the KV cache is made for the prompt and these.
        temperature, top_k, top_p, min_p, repetition_penalty: As in `edgeq.runtime.sampling.SamplingOptions`; by default
            as the bundle says, which mostly is greedy. With top_k, top_p or min_p alone the temperature is 1.
        seed: Of the sampler; by default a random one, which the result tells.
        stop: Strings that end the text and are not part of it.
        ignore_eos: Go on after an end-of-sequence token.
        reuse_prefix: Keep what the cache holds of the same beginning, as in a conversation.
    """

    max_new_tokens: int | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float | None
    seed: int | None
    stop: Sequence[str] | None
    ignore_eos: bool
    reuse_prefix: bool


def default_sampling(search: Search) -> SamplingOptions:
    """The sampling that ``genai_config.json`` asks for; greedy unless ``do_sample`` is set."""
    if not search.do_sample:
        return SamplingOptions(repetition_penalty=search.repetition_penalty)
    return SamplingOptions(
        temperature=search.temperature,
        top_k=search.top_k or 0,
        top_p=1.0 if search.top_p is None else search.top_p,
        repetition_penalty=search.repetition_penalty,
    )


def override_sampling(base: SamplingOptions, options: GenerateOptions) -> SamplingOptions:
    """``base`` with what the options say instead.

    Raises:
        EdgeqError: A value is out of range.
    """
    names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
    given = {name: options[name] for name in names if options.get(name) is not None}  # type: ignore[literal-required]
    if base.temperature == 0 and "temperature" not in given and given.keys() & {"top_k", "top_p", "min_p"}:
        given["temperature"] = 1.0
    return replace(base, **given)
