# SPDX-License-Identifier: Apache-2.0
"""The decoder graph: logits against NumPy in float64, however the sequence is cut, whichever way the cache works."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.runtime import decoder
from edgeq.runtime.kv_cache import ConcatKvCache, SharedKvCache
from edgeq.runtime.loading import load_decoder
from edgeq.runtime.model import Model
from tests.tiny_decoder import CONTEXT, TinyDecoder, make_tiny_decoder, write_records

TOLERANCE = 1e-5  # absolute, for logits near 3 in float32: ten times what one machine was seen to err


@pytest.fixture(scope="module")
def shared(tiny_decoder: TinyDecoder) -> Model:
    return load_decoder(tiny_decoder.directory, threads=1)


@pytest.fixture(scope="module")
def concatenating(tmp_path_factory: pytest.TempPathFactory) -> Model:
    directory = tmp_path_factory.mktemp("concat") / "bundle"
    make_tiny_decoder(directory, shared=False)
    return load_decoder(directory, threads=1)


def test_the_cache_is_the_one_that_the_bundle_asks_for(shared: Model, concatenating: Model) -> None:
    assert isinstance(shared.graph.cache, SharedKvCache)
    assert isinstance(concatenating.graph.cache, ConcatKvCache)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), length=st.integers(1, CONTEXT), concat=st.booleans())
def test_logits_do_not_depend_on_the_cuts(
    tiny_decoder: TinyDecoder, shared: Model, concatenating: Model, data: st.DataObject, length: int, concat: bool
) -> None:
    ids = data.draw(st.lists(st.integers(0, tiny_decoder.vocab - 1), min_size=length, max_size=length))
    cuts = sorted({0, length, *data.draw(st.lists(st.integers(1, length), max_size=4))})
    graph = (concatenating if concat else shared).graph
    graph.logits_chunk = data.draw(st.integers(1, CONTEXT))
    graph.begin(0, length)
    rows = [rows.copy() for a, b in pairwise(cuts) for rows in graph.run(ids[a:b])]
    assert all(len(chunk) <= graph.logits_chunk for chunk in rows)
    np.testing.assert_allclose(np.concatenate(rows), tiny_decoder.reference_logits(ids), atol=TOLERANCE)


@pytest.mark.parametrize("concat", [False, True])
def test_a_truncated_and_grown_cache_goes_on(
    tiny_decoder: TinyDecoder, shared: Model, concatenating: Model, concat: bool
) -> None:
    graph = (concatenating if concat else shared).graph
    graph.begin(0, 20)
    list(graph.run(list(range(20))))
    graph.begin(8, 60)
    found = np.concatenate([rows.copy() for rows in graph.run(list(range(100, 150)))])
    wanted = tiny_decoder.reference_logits([*range(8), *range(100, 150)])[8:]
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE)


def test_the_buffers_hold_what_is_asked_and_no_more(tiny_decoder: TinyDecoder) -> None:
    model = load_decoder(tiny_decoder.directory, threads=1)
    cache = model.graph.cache
    assert isinstance(cache, SharedKvCache)
    assert cache.capacity == 0
    model.generate([5, 6, 7], max_new_tokens=4)
    assert cache.capacity == 7
    assert all(buffer.shape == (1, 2, 7, 8) for buffer in cache._buffers)


def test_large_vocabularies_take_smaller_chunks(tiny_decoder: TinyDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "LOGITS_BYTES", 10 * 4 * tiny_decoder.vocab)
    model = load_decoder(tiny_decoder.directory, threads=1)
    assert model.graph.logits_chunk == 10
    assert [len(rows) for rows in model.logits_chunks(list(range(25)))] == [10, 10, 5]


def test_sequences_longer_than_the_context_are_refused(shared: Model) -> None:
    with pytest.raises(EdgeqError, match=f"found {CONTEXT + 1} tokens, wanted 1 to {CONTEXT}"):
        shared.logits([5] * (CONTEXT + 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 3}, "no past_key_values.2.key in the graph"),
        ({"num_hidden_layers": 1}, "a further input past_key_values.1.key"),
        ({"head_size": 16}, r"past_key_values.0.key: .*found shape"),
        ({"num_key_value_heads": 4}, r"past_key_values.0.key: .*found shape"),
    ],
)
def test_a_configuration_that_does_not_fit_the_graph(
    tiny_decoder: TinyDecoder, tmp_path: Path, change: dict[str, int], message: str
) -> None:
    directory = shutil.copytree(tiny_decoder.directory, tmp_path / "bundle")
    config = json.loads((directory / "genai_config.json").read_text())
    config["model"]["decoder"].update(change)
    (directory / "genai_config.json").write_text(json.dumps(config))
    write_records(directory)
    with pytest.raises(EdgeqError, match="graph and configuration disagree") as caught:
        load_decoder(directory)
    assert caught.match(message)


def test_a_tokenizer_with_more_tokens_than_logits(tiny_decoder: TinyDecoder, tmp_path: Path) -> None:
    directory = shutil.copytree(tiny_decoder.directory, tmp_path / "bundle")
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": tiny_decoder.vocab, "content": "<more>"})
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    write_records(directory)
    with pytest.raises(EdgeqError, match="tokenizer and model disagree"):
        load_decoder(directory)


@pytest.mark.parametrize("concat", [False, True])
def test_last_logits_are_the_last_of_all(
    tiny_decoder: TinyDecoder, shared: Model, concatenating: Model, concat: bool
) -> None:
    graph = (concatenating if concat else shared).graph
    ids = list(range(40, 70))
    for chunk in (7, 30):
        graph.chunk = graph.logits_chunk = chunk
        graph.begin(0, len(ids))
        found = graph.last_logits(ids)
        np.testing.assert_allclose(found, tiny_decoder.reference_logits(ids)[-1], atol=TOLERANCE)


def test_logits_that_nobody_reads_are_not_computed(tiny_decoder: TinyDecoder) -> None:
    graph = load_decoder(tiny_decoder.directory, threads=1).graph
    graph.begin(0, 30)
    graph.last_logits(list(range(30)))
    assert graph._logits.shape == (1, 1, tiny_decoder.vocab)


def test_no_tokens(shared: Model) -> None:
    with pytest.raises(EdgeqError, match="sequence out of range, found 0 tokens"):
        shared.logits([])
