# SPDX-License-Identifier: Apache-2.0
"""Calibration files: plain text, JSON lines with a field ``text``, or token ids (``.npy``, ``.json``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.texts import read_text

JSON_LINES = (".jsonl", ".ndjson")
TOKEN_IDS = (".npy", ".json")
FIELD = "text"


def holds_token_ids(path: Path) -> bool:
    """Whether a file holds token ids, by its name."""
    return path.suffix.lower() in TOKEN_IDS


def read_documents(path: Path) -> list[str]:
    """The texts of a file: one per JSON line, or the whole of a plain text.

    Raises:
        EdgeqError: It is missing, empty, not UTF-8, not JSON, or a line has no text.
    """
    text = read_text(path)
    if path.suffix.lower() not in JSON_LINES:
        return [text]
    return [document for document in _json_lines(text, path) if document.strip()]


def read_inputs(path: Path) -> list[str]:
    """The texts of a file as an encoder reads them: one per JSON line, or per line of a plain text.

    Raises:
        EdgeqError: As `read_documents`.
    """
    documents = read_documents(path)
    if path.suffix.lower() in JSON_LINES:
        return documents
    return [line for line in documents[0].splitlines() if line.strip()]


def read_token_ids(path: Path) -> list[NDArray[np.int64]]:
    """The documents of a file of token ids, each int64 ``[tokens]``.

    Raises:
        EdgeqError: It is missing or empty, or does not hold whole numbers in one or two dimensions.
    """
    rows = _read_numpy(path) if path.suffix.lower() == ".npy" else _read_json(path)
    if not sum(len(row) for row in rows):
        raise EdgeqError("no token ids", file=path)
    return rows


def _json_lines(text: str, path: Path) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            value: Any = json.loads(line)
        except ValueError as error:
            raise EdgeqError(f"not JSON ({error})", file=path, field=where, found=repr(line[:40])) from error
        document = value.get(FIELD) if isinstance(value, dict) else None
        if not isinstance(document, str):
            found = ", ".join(value) if isinstance(value, dict) else type(value).__name__
            raise EdgeqError(
                "no text", file=path, field=where, found=found, wanted=f"an object with a string {FIELD!r}"
            )
        yield document


def _read_numpy(path: Path) -> list[NDArray[np.int64]]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise EdgeqError(
            f"cannot read token ids ({error})", file=path, wanted="a .npy file of whole numbers"
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.dtype.kind not in "iu":
        found = f"{array.dtype}{list(array.shape)}" if isinstance(array, np.ndarray) else "an archive"
        raise EdgeqError("not token ids", file=path, found=found, wanted="whole numbers [tokens] or [rows, tokens]")
    return list(np.atleast_2d(array).astype(np.int64))


def _read_json(path: Path) -> list[NDArray[np.int64]]:
    try:
        value = json.loads(read_text(path))
    except ValueError as error:
        raise EdgeqError(f"not JSON ({error})", file=path, wanted="lists of token ids") from error
    rows = [value] if isinstance(value, list) and value and isinstance(value[0], int) else value
    if not isinstance(rows, list) or not all(_is_token_ids(row) for row in rows):
        raise EdgeqError(
            "not token ids", file=path, found=type(value).__name__, wanted="a list of lists of whole numbers"
        )
    return [np.asarray(row, np.int64) for row in rows]


def _is_token_ids(row: Any) -> bool:
    return isinstance(row, list) and all(type(item) is int and abs(item) < 2**63 for item in row)
