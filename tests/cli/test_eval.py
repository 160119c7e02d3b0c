# SPDX-License-Identifier: Apache-2.0
"""``edgeq eval``: what it prints, and one clear line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Edgeq
from tests.tiny_decoder import TinyDecoder
from tests.tiny_encoder import make_tiny_encoder

PAIRS = "score,sentence1,sentence2\n5,the cat,the cat\n1,the cat,a dog\n3,mat,the mat\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("the cat sat on the mat, the dog sat too. " * 40)
    return file


def test_perplexity_as_json(edgeq: Edgeq, tiny_decoder: TinyDecoder, text: Path) -> None:
    outcome = edgeq("eval", tiny_decoder.directory, "--text", text, "--window", 32, "--windows", 4, "--json")
    report = json.loads(outcome.out)
    assert outcome.code == 0
    assert (report["window"], report["windows"], report["predicted_tokens"]) == (32, 4, 124)
    assert report["comparison"] is None
    assert report["scheme"] == "fp32"
    assert report["quality"]["perplexity"] > 1


def test_perplexity_against_another_bundle(edgeq: Edgeq, tiny_decoder: TinyDecoder, text: Path) -> None:
    outcome = edgeq("eval", tiny_decoder.directory, "--text", text, "--against", tiny_decoder.directory, "--limit", 200)
    assert outcome.code == 0
    assert f"{text}: 3 windows of 64 tokens, stride 64, 189 tokens predicted" in outcome.out
    assert "difference +0.0000 nats/token, KL divergence 0.0000 nats/token, top-1 agreement 100.0 %" in outcome.out
    assert "evaluate" in outcome.err


def test_similarity(edgeq: Edgeq, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(PAIRS)
    bundle, other = (make_tiny_encoder(tmp_path / name, seed).directory for seed, name in enumerate("ab"))
    outcome = edgeq("eval", bundle, "--sts", pairs, "--against", other)
    assert "3 pairs" in outcome.out
    assert "Spearman" in outcome.out
    assert "cosine to it: mean" in outcome.out
    report = json.loads(edgeq("eval", bundle, "--sts", pairs, "--json").out)
    assert report["similarity"]["pairs"] == 3
    assert report["similarity"]["mean_cosine"] is None


def test_bad_input(edgeq: Edgeq, tiny_decoder: TinyDecoder, text: Path, tmp_path: Path) -> None:
    short, binary = tmp_path / "short.txt", tmp_path / "binary.txt"
    short.write_text("the cat")
    binary.write_bytes(b"\xff\xfe")
    cases = [
        ((), "--text: nothing to evaluate on"),
        (("--text", text, "--sts", text), "--text: nothing to evaluate on"),
        (("--text", tmp_path / "none.txt"), "none.txt: cannot read text, found No such file"),
        (("--text", short), "text: less than one window"),
        (("--text", binary), "binary.txt: not a UTF-8 text"),
        (("--text", text, "--window", 65), "window: window out of range, found 65, wanted 2 to 64"),
        (("--text", text, "--against", tmp_path / "none"), "none: no such model"),
        (("--sts", text), "not sentence pairs"),
    ]
    for arguments, message in cases:
        outcome = edgeq("eval", tiny_decoder.directory, *arguments)
        assert outcome.code == 2, arguments
        assert message in outcome.err, arguments
        assert "Traceback" not in outcome.err


def test_an_encoder_has_no_perplexity(edgeq: Edgeq, text: Path, tmp_path: Path) -> None:
    bundle = make_tiny_encoder(tmp_path / "encoder").directory
    outcome = edgeq("eval", bundle, "--text", text)
    assert outcome.code == 2
    assert "wrong kind of model, found encoder, wanted decoder" in outcome.err


def test_another_vocabulary_is_refused(edgeq: Edgeq, tiny_decoder: TinyDecoder, text: Path, books_6m: Path) -> None:
    pytest.importorskip("torch")
    outcome = edgeq("eval", tiny_decoder.directory, "--text", text, "--against", books_6m)
    assert outcome.code == 2
    assert "different tokenizers" in outcome.err
