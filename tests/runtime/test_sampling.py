# SPDX-License-Identifier: Apache-2.0
"""Sampling: the distributions are exactly those of transformers, and draws follow them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.bundle.genai_config import Search
from edgeq.errors import EdgeqError
from edgeq.runtime.options import default_sampling, override_sampling
from edgeq.runtime.sampling import Sampler, SamplingOptions, distribution, penalize

VOCAB = 50


def logits(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, VOCAB).astype(np.float32)


def dense(scores: np.ndarray, options: SamplingOptions) -> np.ndarray:
    tokens, probabilities = distribution(scores, options)
    result = np.zeros(len(scores))
    result[tokens] = probabilities
    return result


def transformers_distribution(scores: np.ndarray, options: SamplingOptions, seen: list[int]) -> np.ndarray:
    import torch
    from transformers.generation import logits_process as lp

    processors = [lp.RepetitionPenaltyLogitsProcessor(options.repetition_penalty)]
    processors.append(lp.TemperatureLogitsWarper(options.temperature))
    if options.top_k:
        processors.append(lp.TopKLogitsWarper(options.top_k))
    if options.top_p < 1:
        processors.append(lp.TopPLogitsWarper(options.top_p))
    if options.min_p:
        processors.append(lp.MinPLogitsWarper(options.min_p))
    ids, values = torch.tensor([seen]), torch.from_numpy(scores.copy())[None]
    for processor in processors:
        values = processor(ids, values)
    return torch.softmax(values[0].double(), 0).numpy()


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
    top_k=st.sampled_from([0, 1, 7, 60]),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.05, 0.5]),
    penalty=st.sampled_from([0.8, 1.0, 1.3]),
)
def test_distributions_are_those_of_transformers(
    seed: int, temperature: float, top_k: int, top_p: float, min_p: float, penalty: float
) -> None:
    pytest.importorskip("transformers")
    options = SamplingOptions(temperature, top_k, top_p, min_p, penalty)
    scores, seen = logits(seed), [3, 4, 5]
    mask = np.zeros(VOCAB, bool)
    mask[seen] = True
    found = dense(penalize(scores, mask, penalty), options)
    wanted = transformers_distribution(scores, options, seen)
    # float32 cumulative sums in transformers may put one border token on the other side
    border = (found == 0) != (wanted == 0)
    assert border.sum() <= 1
    if not border.any():
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_greedy_takes_the_most_likely() -> None:
    sampler = Sampler(SamplingOptions(), VOCAB, seed=0)
    assert [sampler(logits(seed)) for seed in range(20)] == [int(logits(seed).argmax()) for seed in range(20)]


def test_top_k_1_is_greedy_at_any_temperature() -> None:
    sampler = Sampler(SamplingOptions(temperature=5.0, top_k=1), VOCAB, seed=0)
    assert [sampler(logits(seed)) for seed in range(20)] == [int(logits(seed).argmax()) for seed in range(20)]


def test_top_k_keeps_ties() -> None:
    scores = np.array([1, 3, 3, 3, 0], np.float32)
    np.testing.assert_allclose(dense(scores, SamplingOptions(1.0, top_k=2)), [0, 1 / 3, 1 / 3, 1 / 3, 0])


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    scores = np.log(np.array([0.5, 0.25, 0.15, 0.1], np.float64)).astype(np.float32)
    np.testing.assert_allclose(dense(scores, SamplingOptions(1.0, top_p=0.6)), [2 / 3, 1 / 3, 0, 0], atol=1e-6)
    np.testing.assert_allclose(dense(scores, SamplingOptions(1.0, top_p=0.0)), [1, 0, 0, 0])


@pytest.mark.parametrize("deviation", [0.1, 3.0, 30.0])
@pytest.mark.parametrize("top_p", [0.1, 0.9, 0.999999])
def test_top_p_of_a_large_vocabulary(deviation: float, top_p: float) -> None:
    scores = np.random.default_rng(0).normal(0, deviation, 20_000).astype(np.float32)
    probabilities = np.exp(scores.astype(np.float64) - scores.max())
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities, kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    wanted = np.zeros_like(probabilities)
    wanted[order] = np.where(before < top_p, probabilities[order], 0)
    found = dense(scores, SamplingOptions(1.0, top_p=top_p))
    assert abs(np.count_nonzero(found) - np.count_nonzero(wanted)) <= 1  # sums are rounded
    np.testing.assert_allclose(found, wanted / wanted.sum(), atol=1e-6)


def test_draws_follow_the_distribution() -> None:
    scores = np.log(np.array([0.5, 0.3, 0.15, 0.05])).astype(np.float32)
    sampler = Sampler(SamplingOptions(1.0), 4, seed=0)
    draws = np.bincount([sampler(scores) for _ in range(20_000)], minlength=4) / 20_000
    # five standard deviations of the largest share
    np.testing.assert_allclose(draws, [0.5, 0.3, 0.15, 0.05], atol=5 * np.sqrt(0.25 / 20_000))


def test_equal_seeds_give_equal_tokens() -> None:
    def draw(seed: int) -> list[int]:
        sampler = Sampler(SamplingOptions(2.0), VOCAB, seed)
        return [sampler(logits(step)) for step in range(50)]

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_the_penalty_counts_prompt_and_drawn_tokens() -> None:
    scores = np.array([2.0, 1.9, 1.8, -1.0], np.float32)
    sampler = Sampler(SamplingOptions(repetition_penalty=1.2), 4, seed=0, seen=[0])
    assert [sampler(scores) for _ in range(3)] == [1, 2, 0]
    assert scores.tolist() == np.array([2.0, 1.9, 1.8, -1.0], np.float32).tolist()


def test_tiny_temperatures_do_not_overflow() -> None:
    assert dense(logits(0), SamplingOptions(1e-300))[logits(0).argmax()] == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_an_error(bad: float) -> None:
    scores = logits(0)
    scores[3] = bad
    with pytest.raises(EdgeqError, match="no finite logits"):
        Sampler(SamplingOptions(), VOCAB, seed=0)(scores)


@pytest.mark.parametrize(
    "options",
    [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 1.1}, {"min_p": -0.1},
     {"repetition_penalty": 0}],
)  # fmt: skip
def test_options_out_of_range_are_named(options: dict[str, float]) -> None:
    with pytest.raises(EdgeqError, match=next(iter(options))):
        SamplingOptions(**options)  # type: ignore[arg-type]


def test_defaults_come_from_the_bundle() -> None:
    assert default_sampling(Search(temperature=0.7, top_k=40)) == SamplingOptions()
    search = Search(do_sample=True, temperature=0.7, top_k=40, top_p=0.9)
    assert default_sampling(search) == SamplingOptions(0.7, 40, 0.9)


def test_options_override_the_defaults() -> None:
    base = SamplingOptions(0.7, 40)
    assert override_sampling(base, {"top_k": 5, "temperature": None}) == SamplingOptions(0.7, 5)
    assert override_sampling(base, {"temperature": 0.0}) == SamplingOptions(0.0, 40)
    assert override_sampling(SamplingOptions(), {"top_p": 0.5}) == SamplingOptions(1.0, top_p=0.5)
