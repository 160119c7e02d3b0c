# SPDX-License-Identifier: Apache-2.0
"""Windows, losses and distances, against direct computations in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.evaluation import metrics
from edgeq.evaluation.metrics import DistanceSum, LossSum, aligned, log_softmax
from edgeq.evaluation.perplexity import compare, evaluate
from edgeq.evaluation.windows import cut_windows, default_window
from edgeq.runtime.loading import load_decoder
from edgeq.runtime.model import Model
from edgeq.runtime.tokenizer import Tokenizer
from edgeq.texts import read_text
from tests.tiny_decoder import TinyDecoder, make_tiny_decoder

TEXT = "the cat sat on the mat — the dog, 日本語 and 😀 too. " * 8
WINDOW = 24


@pytest.fixture(scope="module")
def model(tiny_decoder: TinyDecoder) -> Model:
    return load_decoder(tiny_decoder.directory, threads=1)


class Noisy:
    """The tiny decoder's logits with some noise, in chunks of another size."""

    def __init__(self, tiny: TinyDecoder, chunk: int) -> None:
        self.tiny, self.chunk, self.vocab_size = tiny, chunk, tiny.vocab

    def all(self, ids: list[int]) -> np.ndarray:
        clean = self.tiny.reference_logits(ids)
        return (clean + np.random.default_rng(ids).normal(0, 0.3, clean.shape)).astype(np.float32)

    def logits_chunks(self, token_ids: list[int]) -> Iterator[np.ndarray]:
        rows = self.all(token_ids)
        buffer = np.empty((self.chunk, self.vocab_size), np.float32)
        for start in range(0, len(rows), self.chunk):
            part = rows[start : start + self.chunk]
            buffer[: len(part)] = part  # one buffer for all chunks, as the runtime does
            yield buffer[: len(part)]


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    return np.array([row - math.log(math.fsum(math.exp(v) for v in row)) for row in logits.astype(np.float64)])


def test_windows_lie_side_by_side(model: Model) -> None:
    ids = model.tokenizer.encode(TEXT)
    windows = cut_windows(TEXT, model.tokenizer, WINDOW, model.context_length)
    count = len(ids) // WINDOW
    assert windows.ids.tolist() == np.reshape(ids[: count * WINDOW], (count, WINDOW)).tolist()
    assert windows.predicted == count * (WINDOW - 1)


def test_bytes_of_predicted_tokens_are_counted(model: Model) -> None:
    windows = cut_windows(TEXT, model.tokenizer, WINDOW, model.context_length)
    # Byte-level tokens are bytes: what decoding loses at a border, the vocabulary tells.
    size = sum(len(model.tokenizer.backend.id_to_token(token)) for row in windows.ids for token in row[1:])
    _, ends = model.tokenizer.encode_with_ends(TEXT)
    # A character that a border cuts counts whole for the token with its first byte.
    assert abs(windows.bytes - size) <= 3 * len(windows.ids)
    ascii_text = "the cat sat on the mat. " * 30
    plain = cut_windows(ascii_text, model.tokenizer, WINDOW, model.context_length)
    assert plain.bytes == sum(len(model.tokenizer.backend.id_to_token(t)) for row in plain.ids for t in row[1:])
    assert ends[-1] == len(TEXT.encode())


def test_limits_of_windows_and_tokens(model: Model) -> None:
    cut = lambda **limits: len(cut_windows(TEXT, model.tokenizer, WINDOW, 64, **limits).ids)  # noqa: E731
    assert cut(count=3) == 3
    assert cut(tokens=2 * WINDOW + 5) == 2
    assert cut(count=5, tokens=WINDOW) == 1
    assert cut(count=10**9) == cut()


@pytest.mark.parametrize("length", [1, 65])
def test_window_length_out_of_range(model: Model, length: int) -> None:
    with pytest.raises(EdgeqError, match=r"window out of range, found .*wanted 2 to 64"):
        cut_windows(TEXT, model.tokenizer, length, 64)


def test_text_shorter_than_a_window(model: Model) -> None:
    with pytest.raises(EdgeqError, match="less than one window, found"):
        cut_windows("the cat", model.tokenizer, WINDOW, 64)


def test_default_windows() -> None:
    assert [default_window(context) for context in (256, 4096)] == [256, 512]


def test_perplexity_is_the_direct_computation(tiny_decoder: TinyDecoder, model: Model) -> None:
    windows = cut_windows(TEXT, model.tokenizer, WINDOW, model.context_length)
    nats = [
        -log_probabilities(tiny_decoder.reference_logits(row.tolist()))[np.arange(WINDOW - 1), row[1:]]
        for row in windows.ids
    ]
    model.graph.logits_chunk = 7
    quality = evaluate(model, windows)
    assert quality.loss == pytest.approx(np.mean(nats), abs=1e-6)
    assert quality.perplexity == pytest.approx(math.exp(np.mean(nats)), rel=1e-6)
    assert quality.bits_per_byte == pytest.approx(np.sum(nats) / math.log(2) / windows.bytes, rel=1e-6)


def test_distances_are_the_direct_computation(tiny_decoder: TinyDecoder, model: Model) -> None:
    windows = cut_windows(TEXT, model.tokenizer, WINDOW, model.context_length, count=4)
    noisy = Noisy(tiny_decoder, chunk=5)
    model.graph.logits_chunk = 8
    seen: list[tuple[str, int, int]] = []
    quality, found = compare(noisy, model, windows, lambda *step: seen.append(step))
    q = [log_probabilities(noisy.all(row[:-1].tolist())) for row in windows.ids]
    p = [log_probabilities(tiny_decoder.reference_logits(row[:-1].tolist())) for row in windows.ids]
    kl = np.mean([(np.exp(b) * (b - a)).sum(axis=1) for a, b in zip(q, p, strict=True)])
    agree = np.mean([a.argmax(1) == b.argmax(1) for a, b in zip(q, p, strict=True)])
    picked = [
        np.mean([-rows[np.arange(WINDOW - 1), row[1:]] for rows, row in zip(x, windows.ids, strict=True)])
        for x in (q, p)
    ]
    assert quality.loss == pytest.approx(picked[0], abs=1e-6)
    assert found.reference.loss == pytest.approx(picked[1], abs=1e-6)
    assert found.loss_difference == pytest.approx(picked[0] - picked[1], abs=1e-6)
    assert found.kl_divergence == pytest.approx(kl, abs=1e-6)
    assert found.kl_divergence > 0.01
    assert found.top1_agreement == pytest.approx(agree)
    assert seen[-1] == ("evaluate", 4, 4)


def test_a_model_is_at_no_distance_from_itself(model: Model, tmp_path: Path) -> None:
    twin = load_decoder(make_tiny_decoder(tmp_path / "twin").directory, threads=1)
    _, found = compare(model, twin, cut_windows(TEXT, model.tokenizer, WINDOW, 64, count=2))
    assert found.loss_difference == pytest.approx(0, abs=1e-6)
    assert found.kl_divergence == pytest.approx(0, abs=1e-9)
    assert found.top1_agreement == 1


def test_vocabularies_must_be_of_one_size(tiny_decoder: TinyDecoder, model: Model) -> None:
    other = Noisy(tiny_decoder, 5)
    other.vocab_size += 1
    with pytest.raises(EdgeqError, match="different vocabularies"):
        compare(model, other, cut_windows(TEXT, model.tokenizer, WINDOW, 64, count=1))


@settings(deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), block=st.integers(1, 30))
def test_sums_do_not_depend_on_blocks(rows: int, columns: int, block: int) -> None:
    random = np.random.default_rng(rows * 10 + columns)
    logits, other = random.normal(0, 5, (2, rows, columns)).astype(np.float32)
    targets = random.integers(0, columns, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "BLOCK_ELEMENTS", block)
        total, alone = DistanceSum(LossSum(), LossSum()), LossSum()
        total.add(logits, other, targets)
        alone.add(logits, targets)
    wanted = -log_probabilities(logits)[np.arange(rows), targets].sum()
    assert alone.nats == pytest.approx(wanted, abs=1e-9)
    assert total.model.nats == pytest.approx(wanted, abs=1e-9)
    assert total.reference.tokens == rows


def test_extreme_logits() -> None:
    logits = np.array([[1e30, 0, -np.inf], [-1e4, -1e4, -1e4]], np.float32)
    np.testing.assert_allclose(np.exp(log_softmax(logits)), [[1, 0, 0], [1 / 3] * 3])
    total = DistanceSum(LossSum(), LossSum())
    total.add(np.zeros((1, 3), np.float32), logits[:1], np.array([0]))
    assert total.kl_nats == pytest.approx(math.log(3))


@given(first=st.lists(st.integers(1, 4), max_size=5), second=st.lists(st.integers(1, 4), max_size=5))
def test_streams_are_aligned(first: list[int], second: list[int]) -> None:
    size = min(sum(first), sum(second))

    def chunks(sizes: list[int]) -> Iterator[np.ndarray]:
        row = 0
        for count in sizes:
            end = min(row + count, size)
            if end > row:
                yield np.arange(row, end, dtype=np.float32)[:, None]
            row = end

    pairs = list(aligned(chunks(first), chunks(second)))
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert [int(value) for a, _ in pairs for value in a[:, 0]] == list(range(size))


def test_texts_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    with pytest.raises(EdgeqError, match="cannot read text, found No such file"):
        read_text(file)
    file.write_text(" \n")
    with pytest.raises(EdgeqError, match="empty text"):
        read_text(file)
    file.write_bytes(b"caf\xe9")
    with pytest.raises(EdgeqError, match="not a UTF-8 text, found byte 0xe9 at 3"):
        read_text(file)
    file.write_bytes(b"a\r\nb")
    assert read_text(file) == "a\r\nb"


def test_the_reference_model_is_the_published_one(books_6m: Path, evaluation_text: Path) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from edgeq.evaluation.reference import ReferenceDecoder

    reference = ReferenceDecoder(str(books_6m), chunk=50)
    tokenizer = Tokenizer.from_directory(books_6m)
    windows = cut_windows(read_text(evaluation_text), tokenizer, 128, 1024, count=3)
    model = transformers.AutoModelForCausalLM.from_pretrained(books_6m, dtype=torch.float32)
    with torch.no_grad():
        ids = torch.from_numpy(windows.ids)
        loss = model(ids, labels=ids).loss.item()
    assert evaluate(reference, windows).loss == pytest.approx(loss, abs=1e-5)


@pytest.mark.slow
def test_the_published_loss_of_the_example_model(shared: Path, books_6m: Path) -> None:
    pytest.importorskip("torch")
    from edgeq.evaluation.reference import ReferenceDecoder

    text = read_text(shared / "data" / "books.valid.txt")
    windows = cut_windows(text, Tokenizer.from_directory(books_6m), 256, 1024, count=40)
    assert evaluate(ReferenceDecoder(str(books_6m)), windows).loss == pytest.approx(4.089, abs=2e-3)
