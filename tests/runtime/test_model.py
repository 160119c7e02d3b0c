# SPDX-License-Identifier: Apache-2.0
"""Generation: the tokens, where it ends and what is reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import edgeq
from edgeq.errors import EdgeqError
from edgeq.runtime.chat import TEMPLATE_NAME
from edgeq.runtime.loading import load_decoder, load_encoder
from edgeq.runtime.model import Model
from tests.tiny_decoder import CONTEXT, TinyDecoder, write_records

PROMPT = [260, 272, 44]


@pytest.fixture(scope="module")
def model(tiny_decoder: TinyDecoder) -> Model:
    return load_decoder(tiny_decoder.directory, threads=1)


@pytest.fixture(scope="module")
def chat_model(tiny_decoder: TinyDecoder, tmp_path_factory: pytest.TempPathFactory) -> Model:
    directory = Path(shutil.copytree(tiny_decoder.directory, tmp_path_factory.mktemp("chat") / "bundle"))
    template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
    (directory / TEMPLATE_NAME).write_text(template)
    write_records(directory)
    return load_decoder(directory, threads=1)


def greedy(tiny: TinyDecoder, prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(tiny.reference_logits(ids)[-1].argmax()))
    return ids[len(prompt) :]


def test_load_is_lazy_and_makes_a_model(tiny_decoder: TinyDecoder) -> None:
    model = edgeq.load(tiny_decoder.directory)
    assert isinstance(model, Model)
    assert model.load_seconds > 0
    assert model.context_length == CONTEXT


def test_greedy_tokens_are_the_references(tiny_decoder: TinyDecoder, model: Model) -> None:
    found = model.generate(PROMPT, max_new_tokens=40, ignore_eos=True)
    assert found.token_ids == greedy(tiny_decoder, PROMPT, 40)
    assert found.finish_reason == "length"
    assert found.prompt_ids == PROMPT
    assert found.timings.generated_tokens == 40
    assert found.timings.prompt_tokens == 3


def test_streamed_pieces_make_the_text(model: Model) -> None:
    stream = model.stream("the cat", max_new_tokens=30, temperature=1.5, seed=4, ignore_eos=True)
    pieces = list(stream)
    again = model.generate("the cat", max_new_tokens=30, temperature=1.5, seed=4, ignore_eos=True)
    assert "".join(pieces) == stream.generation.text == again.text
    assert stream.generation.token_ids == again.token_ids
    assert again.text == model.tokenizer.decode(again.prompt_ids + again.token_ids)[len("the cat") :]


def test_end_of_sequence_tokens_end_the_text(model: Model) -> None:
    tokens = model.generate(PROMPT, max_new_tokens=12, ignore_eos=True).token_ids
    eos, model.eos_ids = model.eos_ids, frozenset({tokens[5]})
    try:
        found = model.generate(PROMPT, max_new_tokens=12)
    finally:
        model.eos_ids = eos
    assert found.finish_reason == "stop"
    assert found.token_ids == tokens[: tokens.index(tokens[5]) + 1]


def test_stop_strings_end_the_text(model: Model) -> None:
    whole = model.generate("the cat", max_new_tokens=20, ignore_eos=True).text
    stop = whole[4:7]
    found = model.generate("the cat", max_new_tokens=20, ignore_eos=True, stop=[stop])
    assert found.finish_reason == "stop_string"
    assert found.text == whole[: whole.index(stop)]


def test_the_context_ends_the_text(model: Model) -> None:
    found = model.generate([5] * (CONTEXT - 3), max_new_tokens=10, ignore_eos=True)
    assert found.finish_reason == "context"
    assert len(found.token_ids) == 3


def test_a_kept_prefix_changes_time_and_nothing_else(model: Model) -> None:
    first = model.generate(PROMPT, max_new_tokens=10, ignore_eos=True)
    longer = [*PROMPT, *first.token_ids[:6], 7, 8]
    kept = model.generate(longer, max_new_tokens=10, ignore_eos=True, reuse_prefix=True)
    whole = model.generate(longer, max_new_tokens=10, ignore_eos=True)
    assert kept.token_ids == whole.token_ids
    assert (kept.timings.prompt_tokens, whole.timings.prompt_tokens) == (2, len(longer))
    assert model.generate(longer, max_new_tokens=1, reuse_prefix=True).timings.prompt_tokens == 1


def test_logits_between_generations_leave_no_trace(model: Model) -> None:
    first = model.generate(PROMPT, max_new_tokens=5)
    model.logits([9, 9, 9])
    assert model.generate(PROMPT, max_new_tokens=5, reuse_prefix=True).token_ids == first.token_ids


def test_an_outrun_stream_is_an_error(model: Model) -> None:
    stream = model.stream(PROMPT, max_new_tokens=20, ignore_eos=True)
    next(iter(stream))
    model.generate(PROMPT, max_new_tokens=2)
    with pytest.raises(EdgeqError, match="another generation has begun"):
        stream.finish()


def test_several_prompts(model: Model) -> None:
    both = model.generate_each(["the cat", "a dog"], max_new_tokens=5)
    assert [found.token_ids for found in both] == [
        model.generate(text, max_new_tokens=5).token_ids for text in ("the cat", "a dog")
    ]


def test_the_seed_is_told(model: Model) -> None:
    first = model.generate(PROMPT, temperature=1.0, max_new_tokens=10)
    again = model.generate(PROMPT, temperature=1.0, max_new_tokens=10, seed=first.seed)
    assert again.token_ids == first.token_ids
    assert first.to_dict()["timings"]["decode_rate"] > 0


def test_messages_go_through_the_template(chat_model: Model) -> None:
    ids = chat_model.prompt_ids([{"role": "user", "content": "the cat"}])
    assert ids[0] == 0
    assert chat_model.tokenizer.decode(ids, skip_special=False) == "<s>[user]the cat[assistant]"


def test_messages_need_a_template(model: Model) -> None:
    with pytest.raises(EdgeqError, match="without chat template"):
        model.generate([{"role": "user", "content": "the cat"}])


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([], "empty prompt"),
        ([5] * CONTEXT, "prompt too long, found 64 tokens"),
        ([5, 100_000], "token id out of range"),
        ([-1], "token id out of range"),
    ],
)
def test_bad_prompts(model: Model, prompt: list[int], message: str) -> None:
    with pytest.raises(EdgeqError, match=message):
        model.generate(prompt)


def test_an_empty_text_begins_with_the_bos_token(model: Model) -> None:
    assert model.prompt_ids("") == [0]


def test_bad_options(model: Model) -> None:
    with pytest.raises(EdgeqError, match="max_new_tokens"):
        model.generate(PROMPT, max_new_tokens=0)
    with pytest.raises(EdgeqError, match="top_p"):
        model.generate(PROMPT, top_p=2)


def test_damaged_weights_are_an_error(tiny_decoder: TinyDecoder, model: Model) -> None:
    logits = np.full(tiny_decoder.vocab, np.nan, np.float32)
    model_logits, model.graph.last_logits = model.graph.last_logits, lambda tokens: logits  # type: ignore[method-assign]
    try:
        with pytest.raises(EdgeqError, match="no finite logits"):
            model.generate(PROMPT)
    finally:
        model.graph.last_logits = model_logits  # type: ignore[method-assign]


def test_loading_errors(tiny_decoder: TinyDecoder, tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match="wrong kind of model, found decoder, wanted encoder"):
        load_encoder(tiny_decoder.directory)
    with pytest.raises(EdgeqError, match="wanted 1 to 1024"):
        load_decoder(tiny_decoder.directory, threads=0)
    with pytest.raises(EdgeqError, match="missing operator library"):
        load_decoder(tiny_decoder.directory, library=tmp_path / "libedgeq_ops.so")
    text = tmp_path / "library.so"
    text.write_text("no library")
    with pytest.raises(EdgeqError, match="not a shared library"):
        load_decoder(tiny_decoder.directory, library=text)
    directory = Path(shutil.copytree(tiny_decoder.directory, tmp_path / "bundle"))
    (directory / "model.onnx").write_bytes(b"no graph")
    write_records(directory)
    with pytest.raises(EdgeqError, match="ONNX Runtime refuses the graph"):
        load_decoder(directory)
    write_records(directory, kind="graph")
    with pytest.raises(EdgeqError, match="wrong kind of model, found graph"):
        edgeq.load(directory)
