# SPDX-License-Identifier: Apache-2.0
"""The timed loops. NumPy only; how a model is run is the caller's affair.

As in llama-bench, tokens are random (seeded), tokenization and sampling are not part of it, and a repetition starts
from an empty context or from one filled to a depth, which is not timed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeq_devices.job import Test

Tokens = NDArray[np.int64]


class Model(Protocol):
    """A loaded model, one sequence at a time.

    Attributes:
        vocabulary: Number of token ids.
        context: Positions it can hold.
    """

    vocabulary: int
    context: int

    def reset(self) -> None:
        """Empties the context."""

    def advance(self, tokens: Tokens) -> None:
        """Processes tokens, shape [count], after those in the context; an encoder takes them as one sentence."""


@dataclass(frozen=True)
class Timing:
    """When a repetition ran, in nanoseconds of the machine's monotonic clock.

    Attributes:
        start_ns: After the context was filled to its depth.
        prompt_end_ns: After the prompt; ``start_ns`` if there is none.
        token_ends_ns: After each generated token.
    """

    start_ns: int
    prompt_end_ns: int
    token_ends_ns: tuple[int, ...] = ()

    @property
    def end_ns(self) -> int:
        """When everything was done."""
        return self.token_ends_ns[-1] if self.token_ends_ns else self.prompt_end_ns

    @property
    def ns(self) -> int:
        """What it took."""
        return self.end_ns - self.start_ns

    @property
    def token_ns(self) -> list[int]:
        """What each generated token took."""
        ends = (self.prompt_end_ns, *self.token_ends_ns)
        return [end - start for start, end in itertools.pairwise(ends)]


def random_tokens(test: Test, vocabulary: int, seed: int) -> Tokens:
    """Token ids for every position of the test's context, uniform over the vocabulary; equal for equal seeds."""
    return np.random.default_rng(seed).integers(0, vocabulary, test.context, dtype=np.int64)


def repetition(model: Model, test: Test, tokens: Tokens, clock: Callable[[], int] = time.monotonic_ns) -> Timing:
    """Runs the test once; the filling to its depth is not timed."""
    depth, prompt, generated = np.split(tokens, [test.depth, test.depth + test.prompt])
    model.reset()
    if depth.size:
        model.advance(depth)
    start = clock()
    if prompt.size:
        model.advance(prompt)
    prompt_end = clock() if prompt.size else start
    ends = []
    for position in range(generated.size):
        model.advance(generated[position : position + 1])
        ends.append(clock())
    return Timing(start, prompt_end, tuple(ends))


def warm_up(model: Model, test: Test, tokens: Tokens) -> None:
    """One untimed run: the whole prompt and, if the test generates, one token."""
    depth_and_prompt = tokens[: test.depth + test.prompt]
    model.reset()
    if depth_and_prompt.size:
        model.advance(depth_and_prompt)
    if test.generate:
        model.advance(tokens[depth_and_prompt.size :][:1])


def measure(
    model: Model, test: Test, repetitions: int, *, warmup: bool, seed: int, seconds: float = 0.0
) -> Iterator[Timing]:
    """Yields the timing of each repetition; there are more than asked for until ``seconds`` have passed.

    Raises:
        EdgeqError: The test does not fit the model's context.
    """
    test.check_fits(model.context)
    tokens = random_tokens(test, model.vocabulary, seed)
    if warmup:
        warm_up(model, test, tokens)
    end = time.monotonic() + seconds
    for _ in range(repetitions):
        yield repetition(model, test, tokens)
    while time.monotonic() < end:
        yield repetition(model, test, tokens)
