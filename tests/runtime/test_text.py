# SPDX-License-Identifier: Apache-2.0
"""Streaming: characters are never split, stop strings are found wherever tokens end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.runtime.detokenizer import MAX_PENDING, Detokenizer
from edgeq.runtime.stop_strings import StopStrings
from edgeq.runtime.tokenizer import Tokenizer, TokenizerConfig
from tests.tiny_decoder import TinyDecoder, byte_tokenizer


@pytest.fixture(scope="module")
def byte_level(tiny_decoder: TinyDecoder) -> Tokenizer:
    return Tokenizer(tiny_decoder.directory / "tokenizer.json")


def sentencepiece_like(directory: Path) -> Tokenizer:
    """Words that begin with a block, bytes for what is not in the vocabulary: as Llama 2's tokenizer."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, normalizers

    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "▁a", "é"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    model = models.BPE(vocabulary, [("▁", "a")], unk_token=pieces[0], byte_fallback=True)
    backend = Backend(model)
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.save(str(directory / "tokenizer.json"))
    return Tokenizer(directory / "tokenizer.json", TokenizerConfig(bos_token="<s>", add_bos_token=True))  # noqa: S106


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return sentencepiece_like(tmp_path_factory.mktemp("sentencepiece"))


def pieces(tokenizer: Tokenizer, ids: list[int], context: list[int] | None = None) -> list[str]:
    detokenizer = Detokenizer(tokenizer, context or [])
    return [*(detokenizer.feed(token) for token in ids), detokenizer.flush()]


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=40))
def test_byte_level_pieces_make_the_text(byte_level: Tokenizer, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    ids = byte_level.encode(text)
    found = pieces(byte_level, ids)
    assert "".join(found) == byte_level.decode(ids) == text
    assert all("\ufffd" not in piece for piece in found) or "\ufffd" in text


@settings(max_examples=200, deadline=None)
@given(tokens=st.lists(st.integers(0, 299), max_size=MAX_PENDING - 1))
def test_any_byte_level_tokens_make_what_decoding_all_makes(byte_level: Tokenizer, tokens: list[int]) -> None:
    tokens = [token % byte_level.vocab_size for token in tokens]
    assert "".join(pieces(byte_level, tokens)) == byte_level.decode(tokens)


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="ab é€😀\n", min_size=1, max_size=30))
def test_byte_fallback_pieces_make_the_text(sentencepiece: Tokenizer, text: str) -> None:
    ids = sentencepiece.encode(text)
    found = pieces(sentencepiece, ids)
    assert "".join(found) == sentencepiece.decode(ids) == text
    assert all("\ufffd" not in piece for piece in found)


def test_every_piece_comes_as_soon_as_it_is_certain(byte_level: Tokenizer) -> None:
    euro = [byte_level.backend.token_to_id(character) for character in "â\u0124¬"]  # E2 82 AC, byte by byte
    a = byte_level.backend.token_to_id("a")
    assert pieces(byte_level, [a, *euro, a]) == ["a", "", "", "€", "a", ""]


def test_bytes_that_never_become_a_character_end_as_a_replacement(byte_level: Tokenizer) -> None:
    first = byte_level.backend.token_to_id("â")
    a = byte_level.backend.token_to_id("a")
    assert pieces(byte_level, [first]) == ["", "\ufffd"]
    assert pieces(byte_level, [first, a]) == ["", "\ufffda", ""]


def test_endless_invalid_bytes_do_not_pile_up(byte_level: Tokenizer) -> None:
    first = byte_level.backend.token_to_id("â")
    detokenizer = Detokenizer(byte_level)
    for _ in range(500):
        detokenizer.feed(first)
        assert len(detokenizer._tokens) <= 2 * MAX_PENDING


def test_the_context_keeps_the_leading_space(sentencepiece: Tokenizer) -> None:
    token = sentencepiece.backend.token_to_id("▁a")
    assert "".join(pieces(sentencepiece, [token])) == "a"
    assert "".join(pieces(sentencepiece, [token], context=sentencepiece.encode("b"))) == " a"


def test_special_tokens_are_left_out(byte_level: Tokenizer) -> None:
    ids = [0, *byte_level.encode("the"), 1, *byte_level.encode(" cat")]
    assert "".join(pieces(byte_level, ids)) == "the cat"


def stream(stops: list[str], parts: list[str]) -> tuple[str, str | None]:
    strings = StopStrings(stops)
    text = "".join(strings.feed(part) for part in parts)
    return text + ("" if strings.found else strings.flush()), strings.found


@pytest.mark.parametrize(
    ("stops", "parts", "text", "found"),
    [
        (["END"], ["a E", "N", "D b"], "a ", "END"),
        (["END"], ["a E", "N", "X"], "a ENX", None),
        (["END"], ["EEND"], "E", "END"),
        (["aab"], ["aa", "ab"], "a", "aab"),
        (["\n\n"], ["a\n", "b\n", "\nc"], "a\nb", "\n\n"),
        (["x", "abc"], ["ab", "c x"], "", "abc"),
        (["abc", "b"], ["abc"], "a", "b"),
        ([""], ["ab"], "ab", None),
        (["END"], ["EN"], "EN", None),
    ],
)
def test_stop_strings(stops: list[str], parts: list[str], text: str, found: str | None) -> None:
    assert stream(stops, parts) == (text, found)


@settings(max_examples=300)
@given(
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    parts=st.lists(st.text("abc", max_size=4), max_size=8),
)
def test_stop_strings_do_not_depend_on_how_the_text_is_cut(stops: list[str], parts: list[str]) -> None:
    whole = "".join(parts)
    text, found = stream(stops, parts)
    assert (text, found) == stream(stops, list(whole))
    assert whole.startswith(text)
    if found is None:
        assert text == whole
        assert not any(stop in whole for stop in stops)
    else:
        assert whole.startswith(text + found)
        assert not any(stop in (text + found)[:-1] for stop in stops)


def test_nothing_that_may_become_a_stop_string_is_passed_on() -> None:
    strings = StopStrings(["END"])
    assert [strings.feed(part) for part in ("a", " E", "N", "d")] == ["a", " ", "", "ENd"]


def test_the_test_tokenizer_knows_bytes_only() -> None:
    assert byte_tokenizer().get_vocab_size() <= 300


@settings(max_examples=200, deadline=None)
@given(tokens=st.lists(st.integers(3, 263), max_size=12))
def test_any_byte_fallback_tokens_stream_without_loss(sentencepiece: Tokenizer, tokens: list[int]) -> None:
    whole, streamed = sentencepiece.decode(tokens), "".join(pieces(sentencepiece, tokens))
    # Where a run of bytes is no text, decoding all at once also drops the characters before the bad byte.
    assert streamed == whole or "\ufffd" in whole
    assert set(streamed) >= set(whole)
