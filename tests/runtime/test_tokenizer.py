# SPDX-License-Identifier: Apache-2.0
"""Tokenizers: the same ids as transformers, and which bytes each token covers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.runtime.tokenizer import Tokenizer, TokenizerConfig
from tests.tiny_decoder import TinyDecoder

TEXTS = ["Once upon a time", "", " two  spaces ", "Zürich — 日本 😀", "a<|endoftext|>b</s>c"]


@pytest.fixture(scope="module")
def tokenizer(tiny_decoder: TinyDecoder) -> Tokenizer:
    return Tokenizer.from_directory(tiny_decoder.directory)


def check_against_transformers(directory: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs, ours = transformers.AutoTokenizer.from_pretrained(directory), Tokenizer.from_directory(directory)
    for text in TEXTS:
        assert ours.encode(text) == theirs(text)["input_ids"]
        assert ours.encode(text, special=False) == theirs(text, add_special_tokens=False)["input_ids"]
        ids = ours.encode(text, special=False)
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def test_ids_are_those_of_transformers(books_6m: Path) -> None:
    check_against_transformers(books_6m)


def test_ids_of_an_encoder_are_those_of_transformers(minilm: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs, ours = transformers.AutoTokenizer.from_pretrained(minilm), Tokenizer.from_directory(minilm)
    assert [ours.encode(text) for text in TEXTS] == [theirs(text)["input_ids"] for text in TEXTS]


@pytest.mark.parametrize("name", ["babyllama-tok361", "stories260K"])
def test_ids_of_further_models_are_those_of_transformers(shared: Path, name: str) -> None:
    check_against_transformers(shared / "models" / name)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=30))
def test_ends_cover_the_text(tokenizer: Tokenizer, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    ids, ends = tokenizer.encode_with_ends(text)
    assert ids.tolist() == tokenizer.encode(text)
    assert len(ends) == len(ids)
    assert (ends[1:] >= ends[:-1]).all()
    assert (ends[-1] if len(ends) else 0) == len(text.encode())


def test_ends_of_a_plain_text(tiny_decoder: TinyDecoder) -> None:
    config = TokenizerConfig(bos_token="<s>", add_bos_token=True)  # noqa: S106
    tokenizer = Tokenizer(tiny_decoder.directory / "tokenizer.json", config)
    ids, ends = tokenizer.encode_with_ends("q é")
    assert ids[0] == 0
    assert ends[:2].tolist() == [0, 1]
    assert ends[-1] == 4


def test_a_bos_token_is_added_once(tiny_decoder: TinyDecoder) -> None:
    config = TokenizerConfig(bos_token="<s>", add_bos_token=True)  # noqa: S106
    tokenizer = Tokenizer(tiny_decoder.directory / "tokenizer.json", config)
    assert tokenizer.encode("the")[0] == 0
    assert tokenizer.encode("<s>the") == tokenizer.encode("the")
    assert tokenizer.encode("the", special=False)[0] != 0


def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match="no fast tokenizer"):
        Tokenizer.from_directory(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(EdgeqError, match=r"tokenizer.json: cannot read tokenizer"):
        Tokenizer.from_directory(tmp_path)


def test_a_wrong_configuration_is_named(tiny_decoder: TinyDecoder, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((tiny_decoder.directory / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": 3}')
    with pytest.raises(EdgeqError, match=r"tokenizer_config.json: bos_token"):
        Tokenizer.from_directory(tmp_path)
