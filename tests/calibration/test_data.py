# SPDX-License-Identifier: Apache-2.0
"""Calibration files: what is drawn from good ones, and one clear error for each kind of bad one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeq.calibration.data import context_length, read_calibration
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.runtime.tokenizer import Tokenizer

TEXT = "The old man sat by the fire and told them of the sea. " * 60


@pytest.fixture(scope="module")
def checkpoint(books_6m: Path) -> Checkpoint:
    return Checkpoint(books_6m)


def _write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_windows_are_pieces_of_the_text(checkpoint: Checkpoint, tmp_path: Path) -> None:
    data = read_calibration(checkpoint, _write(tmp_path / "a.txt", TEXT), samples=7, length=33)
    ids = Tokenizer.from_directory(checkpoint.directory).encode(TEXT)
    assert data.ids.shape == (7, 33)
    pieces = {tuple(ids[start : start + 33]) for start in range(len(ids) - 32)}
    assert all(tuple(row) in pieces for row in data.ids.tolist())


def test_the_seed_decides(checkpoint: Checkpoint, tmp_path: Path) -> None:
    file = _write(tmp_path / "a.txt", TEXT)
    first, same, other = (read_calibration(checkpoint, file, 5, 32, seed) for seed in (1, 1, 2))
    assert first.fingerprint == same.fingerprint != other.fingerprint


def test_text_and_json_lines_and_token_ids_agree(checkpoint: Checkpoint, tmp_path: Path) -> None:
    ids = Tokenizer.from_directory(checkpoint.directory).encode(TEXT)
    np.save(tmp_path / "a.npy", np.asarray(ids, np.uint16))
    files = [
        _write(tmp_path / "a.txt", TEXT),
        _write(tmp_path / "a.jsonl", json.dumps({"text": TEXT, "id": 3}) + "\n\n"),
        _write(tmp_path / "windows.txt", TEXT.encode("utf-8-sig")),
        _write(tmp_path / "windows.jsonl", (json.dumps({"text": TEXT}) + "\r\n\r\n").encode("utf-8-sig")),
        _write(tmp_path / "a.json", json.dumps([ids])),
        _write(tmp_path / "flat.json", json.dumps(ids)),
        tmp_path / "a.npy",
    ]
    assert len({read_calibration(checkpoint, file, 6, 40).fingerprint for file in files}) == 1


def test_rows_as_long_as_a_window_are_taken_as_they_are(checkpoint: Checkpoint, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 4096, (10, 16))
    np.save(tmp_path / "a.npy", rows)
    assert np.array_equal(read_calibration(checkpoint, tmp_path / "a.npy", 128, 16).ids, rows)
    chosen = read_calibration(checkpoint, tmp_path / "a.npy", 4, 16).ids
    assert {tuple(row) for row in chosen.tolist()} < {tuple(row) for row in rows.tolist()}


def test_short_texts_give_each_window_once(checkpoint: Checkpoint, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(20))
    data = read_calibration(checkpoint, tmp_path / "a.npy", 128, 16)
    assert data.ids[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_encoders_read_whole_inputs(minilm: Path, tmp_path: Path) -> None:
    data = read_calibration(Checkpoint(minilm), _write(tmp_path / "a.txt", TEXT), 3, 16)
    assert (data.ids[:, 0] == 101).all()  # [CLS]
    assert (data.ids[:, -1] == 102).all()  # [SEP]


def test_context_length() -> None:
    assert context_length({"n_positions": 1024}) == 1024
    assert context_length({"model_type": "roberta", "max_position_embeddings": 514}) == 512


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda d: d / "none.txt", "cannot read text"),
    "empty": (lambda d: _write(d / "a.txt", " \n"), "empty text"),
    "short": (
        lambda d: _write(d / "a.txt", "Once upon a time"),
        "calibration too short, found . tokens, wanted at least",
    ),
    "encoding": (lambda d: _write(d / "a.txt", "caf\xe9".encode("latin-1")), "not a UTF-8 text, found byte 0xe9 at 3"),
    "not JSON": (lambda d: _write(d / "a.jsonl", '{"text": "a"}\n{"text": '), "line 2: not JSON"),
    "no field": (lambda d: _write(d / "a.jsonl", '{"body": "a"}'), "line 1: no text, found body, wanted .*'text'"),
    "not an object": (lambda d: _write(d / "a.jsonl", "[1]"), "line 1: no text, found list"),
    "not ids": (lambda d: _write(d / "a.json", '["a"]'), "not token ids"),
    "broken ids": (lambda d: _write(d / "a.json", "[1, 2"), "not JSON"),
    "no ids": (lambda d: _write(d / "a.json", "[]"), "no token ids"),
    "not numpy": (lambda d: _write(d / "a.npy", "abc"), "cannot read token ids"),
    "high": (
        lambda d: _write(d / "a.json", str([[1] * 40 + [4096]])),
        "row 0, token 40: token out of range, found 4096",
    ),
    "negative": (lambda d: _write(d / "a.json", str([[1] * 40, [-1]])), "row 1, token 0: token out of range, found -1"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files(kind: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    make, message = BAD[kind]
    file = make(tmp_path)
    with pytest.raises(EdgeqError, match=message) as caught:
        read_calibration(checkpoint, file, 4, 32)
    assert str(file) in str(caught.value)


def test_floats_are_no_token_ids(checkpoint: Checkpoint, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 64), np.float32))
    with pytest.raises(EdgeqError, match=r"not token ids, found float32\[4, 64\], wanted whole numbers"):
        read_calibration(checkpoint, tmp_path / "a.npy", 4, 32)


@pytest.mark.parametrize(
    ("samples", "length", "option"), [(0, 32, "--samples"), (4, 7, "--length"), (4, 1025, "--length")]
)
def test_numbers_out_of_range(samples: int, length: int, option: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match=f"{option}: out of range, found"):
        read_calibration(checkpoint, _write(tmp_path / "a.txt", TEXT), samples, length)
