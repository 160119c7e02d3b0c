# SPDX-License-Identifier: Apache-2.0
"""The generation loop and what comes out of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from edgeq.errors import EdgeqError
from edgeq.runtime.decoder import DecoderGraph
from edgeq.runtime.detokenizer import Detokenizer
from edgeq.runtime.sampling import Sampler, SamplingOptions
from edgeq.runtime.stop_strings import StopStrings


@dataclass
class Timings:
    """Durations in seconds; rates in tokens per second, ``None`` where nothing was measured.

    Attributes:
        prompt_tokens: Tokens computed for the prompt, without those reused from the cache.
        prompt_seconds: From the first run to the last prompt token's logits.
        time_to_first_token: From the call, tokenization included, to the first token.
        generated_tokens: Tokens drawn.
        decode_seconds: From the first token to the last: ``generated_tokens - 1`` runs with one token each.
    """

    prompt_tokens: int = 0
    prompt_seconds: float = 0.0
    time_to_first_token: float = 0.0
    generated_tokens: int = 0
    decode_seconds: float = 0.0

    @property
    def prompt_rate(self) -> float | None:
        """Prompt tokens per second."""
        return self.prompt_tokens / self.prompt_seconds if self.prompt_seconds else None

    @property
    def decode_rate(self) -> float | None:
        """Generated tokens per second after the first."""
        return (self.generated_tokens - 1) / self.decode_seconds if self.decode_seconds else None


@dataclass
class Generation:
    """What was generated.

    Attributes:
        text: The text after the prompt, up to a stop string; special tokens are left out.
        token_ids: The tokens drawn, an end-of-sequence token and those of a stop string included.
        prompt_ids: The prompt's tokens.
        finish_reason: ``stop`` (end-of-sequence token), ``stop_string``, ``length`` (``max_new_tokens``),
            ``context`` (the model's context is full) or ``cancelled`` (the stream was left early).
        sampling: How tokens were drawn.
        seed: Seed of the sampler; without effect on greedy drawing.
        timings: See `Timings`.
    """

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    prompt_ids: list[int] = field(default_factory=list)
    finish_reason: str = "cancelled"
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    seed: int = 0
    timings: Timings = field(default_factory=Timings)

    def to_dict(self) -> dict[str, Any]:
        """The fields and rates as JSON values."""
        timings = {
            **asdict(self.timings),
            "prompt_rate": self.timings.prompt_rate,
            "decode_rate": self.timings.decode_rate,
        }
        return {**asdict(self), "timings": timings}


@dataclass(frozen=True)
class Request:
    """One sequence to generate.

    Attributes:
        prompt: Its token ids.
        reused: How many of them the cache already holds.
        sequence: The number that the decoder gave.
        limit: Tokens to generate at most.
        limit_reason: Why the limit is what it is: ``length`` or ``context``.
        eos: Tokens that end it.
        stop: Strings that end it.
        started: ``time.perf_counter()`` at the call.
    """

    prompt: list[int]
    reused: int
    sequence: int
    limit: int
    limit_reason: str
    eos: frozenset[int]
    stop: Sequence[str]
    started: float


class GenerationStream:
    """Pieces of text as they become certain; ``generation`` grows with them and is whole when the iteration ends.

    Args:
        graph: The decoder; its cache holds ``request.reused`` tokens.
        detokenizer: Fed with the tokens drawn.
        sampler: Draws them.
        request: What to generate.
        generation: Where the outcome is written.
    """

    def __init__(
        self, graph: DecoderGraph, detokenizer: Detokenizer, sampler: Sampler, request: Request, generation: Generation
    ) -> None:
        self.generation = generation
        self._graph, self._detokenizer, self._sampler, self._request = graph, detokenizer, sampler, request
        self._stops = StopStrings(request.stop)
        self._pieces = self._run()

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def finish(self) -> Generation:
        """Consumes what is left; the outcome."""
        for _ in self._pieces:
            pass
        return self.generation

    def _run(self) -> Iterator[str]:
        for token in self._tokens():
            piece = "" if token in self._request.eos else self._detokenizer.feed(token)
            yield from self._emit(self._stops.feed(piece))
            if self._stops.found is not None:
                self.generation.finish_reason = "stop_string"
                return
        yield from self._emit(self._stops.feed(self._detokenizer.flush()))
        if self._stops.found is not None:
            self.generation.finish_reason = "stop_string"
        yield from self._emit(self._stops.flush())

    def _emit(self, text: str) -> Iterator[str]:
        if text:
            self.generation.text += text
            yield text

    def _tokens(self) -> Iterator[int]:
        request, timings, ids = self._request, self.generation.timings, self.generation.token_ids
        pending = request.prompt[request.reused :]
        timings.prompt_tokens = len(pending)
        begin = time.perf_counter()
        logits = self._graph.last_logits(pending)
        timings.prompt_seconds = time.perf_counter() - begin
        while True:
            ids.append(self._sampler(logits))
            self._note_time(timings, len(ids))
            if ids[-1] in request.eos:
                self.generation.finish_reason = "stop"
                yield ids[-1]
                return
            if len(ids) >= request.limit:
                self.generation.finish_reason = request.limit_reason
                yield ids[-1]
                return
            yield ids[-1]
            if self._graph.sequence != request.sequence:
                raise EdgeqError(
                    "another generation has begun on this model", remedy="finish one stream before the next"
                )
            logits = self._graph.last_logits(ids[-1:])

    def _note_time(self, timings: Timings, count: int) -> None:
        now = time.perf_counter()
        timings.generated_tokens = count
        if count == 1:
            self._first = now
            timings.time_to_first_token = now - self._request.started
        timings.decode_seconds = now - self._first
