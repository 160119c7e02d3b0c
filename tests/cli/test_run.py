# SPDX-License-Identifier: Apache-2.0
"""``edgeq run``: text on stdout, statistics on stderr, one clear line for bad input."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import pytest

from edgeq.runtime.chat import TEMPLATE_NAME
from edgeq.runtime.loading import load_decoder
from tests.cli.conftest import Edgeq
from tests.tiny_decoder import TinyDecoder, write_records

STATISTICS = re.compile(
    r"prompt \d+ tokens, [\d.]+ tokens/s; generated \d+ tokens, [\d.]+ tokens/s; first token after \d+ ms; "
    r"loaded in [\d.]+ s; ended by length(; seed 3)?\n"
)


@pytest.fixture
def chat_bundle(tiny_decoder: TinyDecoder, tmp_path: Path) -> Path:
    directory = Path(shutil.copytree(tiny_decoder.directory, tmp_path / "chat"))
    (directory / TEMPLATE_NAME).write_text("{% for m in messages %}{{ m.role[0] }}{{ m.content }}{% endfor %}a")
    write_records(directory)
    return directory


def generated(directory: Path, prompt: str, count: int = 8) -> str:
    return load_decoder(directory, threads=1).generate(prompt, max_new_tokens=count).text


def test_text_and_statistics(edgeq: Edgeq, tiny_decoder: TinyDecoder) -> None:
    outcome = edgeq("run", tiny_decoder.directory, "--prompt", "the cat", "-n", 8, "-t", 1)
    assert outcome.code == 0
    assert outcome.out == "the cat" + generated(tiny_decoder.directory, "the cat") + "\n"
    assert STATISTICS.fullmatch(outcome.err)


def test_the_seed_is_told_where_it_matters(edgeq: Edgeq, tiny_decoder: TinyDecoder) -> None:
    outcome = edgeq("run", tiny_decoder.directory, "-p", "the cat", "-n", 8, "--temperature", 2, "--seed", 3)
    assert outcome.err.endswith("; seed 3\n")


def test_prompt_from_stdin(edgeq: Edgeq, tiny_decoder: TinyDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the dog"))
    outcome = edgeq("run", tiny_decoder.directory, "-p", "-", "-n", 8)
    assert outcome.out == "the dog" + generated(tiny_decoder.directory, "the dog") + "\n"


def test_json(edgeq: Edgeq, tiny_decoder: TinyDecoder) -> None:
    sampling = ("--temperature", 0.9, "--top-k", 40, "--top-p", 0.95, "--min-p", 0.01, "--repetition-penalty", 1.1)
    outcome = edgeq("run", tiny_decoder.directory, "-p", "the cat", "-n", 8, *sampling, "--seed", 5, "--json")
    result = json.loads(outcome.out)
    assert result["seed"] == 5
    assert len(result["token_ids"]) == 8
    assert result["timings"]["generated_tokens"] == 8
    assert result["load_seconds"] > 0
    again = edgeq("run", tiny_decoder.directory, "-p", "the cat", "-n", 8, *sampling, "--seed", 5, "--json")
    assert json.loads(again.out)["token_ids"] == result["token_ids"]


def test_stop_strings(edgeq: Edgeq, tiny_decoder: TinyDecoder) -> None:
    text = generated(tiny_decoder.directory, "the cat")
    outcome = edgeq("run", tiny_decoder.directory, "-p", "the cat", "-n", 8, "--stop", text[3], "--json")
    assert json.loads(outcome.out)["text"] == text[: text.index(text[3])]
    assert json.loads(outcome.out)["finish_reason"] == "stop_string"


def test_the_template_applies_unless_raw(edgeq: Edgeq, chat_bundle: Path) -> None:
    chat = edgeq("run", chat_bundle, "-p", "the cat", "--system", "x", "-n", 8)
    assert chat.out == generated(chat_bundle, "sxuthe cata") + "\n"
    raw = edgeq("run", chat_bundle, "-p", "the cat", "-n", 8, "--raw")
    assert raw.out == "the cat" + generated(chat_bundle, "the cat") + "\n"


def test_conversation(edgeq: Edgeq, chat_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the cat\nthe mat\n/clear\nthe cat\n\n/exit\nnever\n"))
    outcome = edgeq("run", chat_bundle, "-n", 8)
    first = generated(chat_bundle, "uthe cata")
    second = generated(chat_bundle, f"uthe cata{first}uthe mata")
    assert outcome.out == f"{first}\n{second}\n{first}\n"
    assert len(STATISTICS.findall(outcome.err)) == 3


def test_conversation_ends_with_its_input_and_goes_on_after_errors(
    edgeq: Edgeq, tiny_decoder: TinyDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("q" * 100 + "\nthe cat\n"))
    outcome = edgeq("run", tiny_decoder.directory, "-n", 8)
    assert outcome.code == 0
    assert "edgeq: prompt: prompt too long, found 100 tokens" in outcome.err
    assert outcome.out == generated(tiny_decoder.directory, "the cat") + "\n"


BAD_ARGUMENTS = [
    (("-p", ""), None, 0),
    (("--json",), "--json: no prompt", 2),
    (("-p", "a", "--system", "x"), "--system: a system message needs a chat template", 2),
    (("-p", "a", "--chat"), "bundle without chat template", 2),
    (("-p", "a", "--library", "/nowhere.so"), "/nowhere.so: missing operator library", 2),
    (("-p", "q" * 100), "prompt too long, found 100 tokens, wanted fewer than the model's context of 64", 2),
    (("-p", "a", "--repetition-penalty", 0), "repetition_penalty: option out of range", 2),
    (("-p", "a", "--temperature", -1), "--temperature", 2),
]


@pytest.mark.parametrize(("arguments", "message", "code"), BAD_ARGUMENTS)
def test_bad_arguments(
    edgeq: Edgeq, tiny_decoder: TinyDecoder, arguments: tuple[str, ...], message: str | None, code: int
) -> None:
    outcome = edgeq("run", tiny_decoder.directory, *arguments)
    assert outcome.code == code
    if message:
        assert message in outcome.err
        assert "Traceback" not in outcome.err


def test_damaged_bundles(edgeq: Edgeq, tiny_decoder: TinyDecoder, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny_decoder.directory, tmp_path / "bundle"))
    config = directory / "tokenizer_config.json"
    config.write_text(config.read_text().replace("eos_token", "eos_tokem"))
    outcome = edgeq("run", directory, "-p", "a")
    assert outcome.code == 2
    assert "tokenizer_config.json: sha256: changed file" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert edgeq("run", directory, "-p", "the", "-n", 2, "--no-verify").code == 0
