# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq_devices import measure as loops
from edgeq_devices.job import Test
from edgeq_devices.measure import measure, random_tokens, repetition


class Recorder:
    """A model that writes down what is asked of it; each token takes one unit of its clock."""

    vocabulary, context = 1000, 64

    def __init__(self):
        self.calls, self.time = [], 0

    def reset(self):
        self.calls.append("reset")

    def advance(self, tokens):
        assert tokens.dtype == np.int64
        assert tokens.ndim == 1
        self.calls.append(len(tokens))
        self.time += len(tokens)

    def clock(self):
        return self.time


@pytest.mark.parametrize(
    ("test", "calls", "time"),
    [
        (Test(prompt=16), ["reset", 16], 16),
        (Test(generate=3), ["reset", 1, 1, 1], 3),
        (Test(prompt=5, depth=20), ["reset", 20, 5], 5),
        (Test(generate=2, depth=20), ["reset", 20, 1, 1], 2),
        (Test(prompt=4, generate=2), ["reset", 4, 1, 1], 6),
    ],
)
def test_prompts_run_at_once_generation_one_by_one_and_depth_is_not_timed(test, calls, time):
    model = Recorder()
    assert repetition(model, test, random_tokens(test, 1000, 0), model.clock).ns == time
    assert model.calls == calls


@pytest.mark.parametrize(
    ("test", "first"),
    [(Test(prompt=8), ["reset", 8]), (Test(generate=4, depth=6), ["reset", 6, 1]), (Test(generate=4), ["reset", 1])],
)
def test_warm_up_runs_the_prompt_or_one_token(test, first):
    model = Recorder()
    assert len(list(measure(model, test, 2, warmup=True, seed=0))) == 2
    assert model.calls[: len(first)] == first
    assert model.calls.count("reset") == 3


def test_prompt_and_tokens_are_timed_apart():
    model = Recorder()
    test = Test(prompt=4, generate=3, depth=10)
    timing = repetition(model, test, random_tokens(test, 1000, 0), model.clock)
    assert timing == loops.Timing(start_ns=10, prompt_end_ns=14, token_ends_ns=(15, 16, 17))


def test_no_warm_up():
    model = Recorder()
    list(measure(model, Test(prompt=8), 2, warmup=False, seed=0))
    assert model.calls == ["reset", 8, "reset", 8]


def test_tokens_are_seeded_and_cover_the_vocabulary():
    test = Test(prompt=5000)
    tokens = random_tokens(test, 7, 3)
    np.testing.assert_array_equal(tokens, random_tokens(test, 7, 3))
    assert set(tokens) == set(range(7))
    assert not np.array_equal(tokens, random_tokens(test, 7, 4))


def test_every_repetition_sees_the_same_tokens(monkeypatch):
    seen = []
    monkeypatch.setattr(loops, "repetition", lambda model, test, tokens: seen.append(tokens) or 1)
    list(measure(Recorder(), Test(prompt=9), 3, warmup=False, seed=1))
    assert all(np.array_equal(first, second) for first, second in itertools.pairwise(seen))


def test_a_test_that_does_not_fit_is_refused_before_anything_runs():
    model = Recorder()
    with pytest.raises(EdgeqError, match=r"^pp60 @ d5: .* found 65 tokens, wanted at most 64$"):
        next(measure(model, Test(prompt=60, depth=5), 1, warmup=True, seed=0))
    assert model.calls == []
