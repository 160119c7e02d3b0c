# SPDX-License-Identifier: Apache-2.0
"""``edgeq train``: what it writes, how it goes on after an interrupt, and one clear line for bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Edgeq
from tests.devices.processes import PATIENCE
from tests.training.conftest import text, tiny

__all__ = ["text", "tiny"]
OPTIONS = ("--scheme", "w2g32", "--steps", 3, "--length", 16, "--batch", 2)


def test_trains_and_prints_the_next_command(edgeq: Edgeq, tiny: Path, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = edgeq("train", tiny, "--text", text, "-o", out, *OPTIONS, "--validation", text, "--evaluate-every", 1)
    assert outcome.code == 0, outcome.err
    assert f"{out}: 3 steps, loss" in outcome.out
    assert f"edgeq export {out} --method qat" in outcome.out
    assert "train" in outcome.err  # the bar
    again = edgeq("train", tiny, "--text", text, "-o", out, *OPTIONS)
    assert again.code == 2
    assert "output exists already" in again.err
    forced = edgeq("train", tiny, "--text", text, "-o", out, *OPTIONS, "--force", "--json")
    assert json.loads(forced.out)["steps"] == 3


def test_an_interrupt_saves_the_state_and_says_how_to_resume(tiny: Path, text: Path, tmp_path: Path) -> None:
    out, never = tmp_path / "out", "1000000000"
    options = ["--scheme", "w2g32", "--steps", never, "--length", "16", "--batch", "2", "--save-every", never]
    command = [sys.executable, "-m", "edgeq.cli.app", "train", str(tiny), "--text", str(text), "-o", str(out), *options]
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"}  # where the bar is drawn while it grows
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1", **terminal})
    assert process.stderr is not None
    seen = b""
    while b"loss" not in seen and (part := os.read(process.stderr.fileno(), 1 << 16)):
        seen += part
    state = tmp_path / ".out.work" / "block-0000.safetensors"
    assert not state.exists()
    process.send_signal(signal.SIGINT)
    messages = (seen + process.communicate(timeout=PATIENCE)[1]).decode()
    assert process.returncode == 130, messages
    assert "The same command goes on from there: edgeq train" in messages
    assert state.stat().st_size > 0
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty text"), (b"\xff\xfe\x00", "not a UTF-8 text")],
)
def test_bad_texts(edgeq: Edgeq, books_6m: Path, tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(content)
    outcome = edgeq("train", books_6m, "--text", file, "-o", tmp_path / "out")
    assert (outcome.code, message in outcome.err) == (2, True)
    assert "Traceback" not in outcome.err


def test_bad_input(edgeq: Edgeq, tiny: Path, text: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.npy"
    np.save(short, np.arange(10))
    for arguments, message in (
        (("--text", short, *OPTIONS), "text too short, found 10 tokens, wanted at least 16"),
        (("--text", text, "--scheme", "w3-codebook"), "format cannot be trained, found codebook"),
        (("--text", text, "--steps", 0), "--steps: Input should be greater than or equal to 1"),
        (("--text", text, "--gradient", "magic"), "--gradient: "),
        (("--text", text, "--gamma", "all"), "--gamma: "),
        (
            (
                "--text",
                tmp_path / "none.npy",
            ),
            "cannot read token ids",
        ),
        (("--text", text, "--layer", "lm_head"), "malformed override"),
    ):
        outcome = edgeq("train", tiny, "-o", tmp_path / "out", *arguments)
        assert outcome.code == 2, arguments
        assert message in outcome.err, outcome.err
        assert not (tmp_path / "out").exists()
