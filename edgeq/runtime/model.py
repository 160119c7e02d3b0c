# SPDX-License-Identifier: Apache-2.0
"""A decoder bundle, ready to generate."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Unpack, cast

import numpy as np
import onnxruntime as ort

from edgeq.bundle.genai_config import GenaiConfig, GenerationConfig, read_json_as
from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError
from edgeq.runtime.chat import ChatTemplate, Message
from edgeq.runtime.decoder import DecoderGraph, Logits
from edgeq.runtime.detokenizer import Detokenizer
from edgeq.runtime.generation import Generation, GenerationStream, Request
from edgeq.runtime.options import DEFAULT_MAX_NEW_TOKENS, GenerateOptions, default_sampling, override_sampling
from edgeq.runtime.sampling import Sampler
from edgeq.runtime.tokenizer import Tokenizer

Prompt = str | Sequence[int] | Sequence[Message]


class Model:
    """A decoder with its tokenizer, for one caller at a time.

    Args:
        bundle: An opened bundle of kind ``decoder``.
        session: A session on its graph.

    Attributes:
        bundle: The bundle.
        tokenizer: Its tokenizer.
        chat_template: Its chat template, ``None`` without one.
        graph: The decoder graph with its KV cache.
        eos_ids: Tokens that end a text.
        sampling: The sampling that the bundle asks for.
        load_seconds: How long loading took, as `edgeq.load` measured it.

    Raises:
        EdgeqError: Tokenizer, configuration and graph do not belong together.
    """

    def __init__(self, bundle: Bundle, session: ort.InferenceSession) -> None:
        config = cast("GenaiConfig", bundle.genai)
        self.bundle, self.graph = bundle, DecoderGraph(session, config, bundle.directory)
        self.tokenizer = Tokenizer.from_bundle(bundle)
        self.chat_template = ChatTemplate.from_bundle(bundle, self.tokenizer.config)
        file = bundle.file("generation_config.json")
        generation = read_json_as(file, GenerationConfig) if file else GenerationConfig()
        self.eos_ids = frozenset(config.model.eos_token_id) | frozenset(generation.eos_token_id)
        self.sampling = default_sampling(config.search)
        self.load_seconds = 0.0
        self._last: Generation | None = None
        if self.tokenizer.vocab_size > config.model.vocab_size:
            raise EdgeqError(
                "tokenizer and model disagree",
                file=bundle.directory,
                field="tokenizer.json",
                found=f"{self.tokenizer.vocab_size} tokens",
                wanted=f"at most {config.model.vocab_size}",
            )

    @property
    def context_length(self) -> int:
        """Tokens the model can hold, prompt and text together."""
        return self.graph.context_length

    @property
    def vocab_size(self) -> int:
        """Width of the logits."""
        return self.graph.vocab_size

    def generate(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Generation:
        """Generates and returns the whole; arguments and errors as in `stream`."""
        return self.stream(prompt, **options).finish()

    def generate_each(self, prompts: Sequence[Prompt], **options: Unpack[GenerateOptions]) -> list[Generation]:
        """One generation per prompt, one after another; arguments and errors as in `stream`."""
        return [self.generate(prompt, **options) for prompt in prompts]

    def stream(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> GenerationStream:
        """Starts generating; iterate over the result for pieces of text.

        Only the latest stream of a model can be read: they share one cache.

        Args:
            prompt: A text, token ids, or messages with ``role`` and ``content`` for the chat template.
            **options: See `edgeq.runtime.options.GenerateOptions`.

        Raises:
            EdgeqError: The prompt is empty or does not fit the context, the chat template fails, or an option is out of
                range.
        """
        started = time.perf_counter()
        sampling = override_sampling(self.sampling, options)
        ids = self.prompt_ids(prompt)
        limit, reason = self._limit(len(ids), options.get("max_new_tokens"))
        reused, sequence = self._begin(ids, limit, reuse=options.get("reuse_prefix", False))
        seed = options.get("seed")
        seed = secrets.randbits(32) if seed is None else seed
        self._last = Generation(prompt_ids=ids, sampling=sampling, seed=seed)
        sampler = Sampler(sampling, self.vocab_size, seed, ids)
        eos = frozenset[int]() if options.get("ignore_eos") else self.eos_ids
        request = Request(ids, reused, sequence, limit, reason, eos, options.get("stop") or (), started)
        return GenerationStream(self.graph, Detokenizer(self.tokenizer, ids), sampler, request, self._last)

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """The token ids of a prompt, as `stream` takes it.

        Raises:
            EdgeqError: It is empty, too long, or holds unknown ids; messages are given and there is no chat template.
        """
        ids = self._encode(prompt)
        if not ids:
            raise EdgeqError("empty prompt", field="prompt", wanted="at least one token")
        if min(ids) < 0 or max(ids) >= self.vocab_size:
            raise EdgeqError(
                "token id out of range",
                field="prompt",
                found=[min(ids), max(ids)],
                wanted=f"0 to {self.vocab_size - 1}",
            )
        if len(ids) >= self.context_length:
            raise EdgeqError(
                "prompt too long",
                field="prompt",
                found=f"{len(ids)} tokens",
                wanted=f"fewer than the model's context of {self.context_length}",
            )
        return ids

    def logits(self, token_ids: Sequence[int]) -> Logits:
        """Logits ``[tokens, vocab]`` of a sequence by itself; `logits_chunks` takes less memory."""
        return np.concatenate([chunk.copy() for chunk in self.logits_chunks(token_ids)])

    def logits_chunks(self, token_ids: Sequence[int]) -> Iterator[Logits]:
        """The same in chunks ``[at most graph.logits_chunk, vocab]``; each is a view, good until the next."""
        self._last = None
        self.graph.begin(0, len(token_ids))
        return self.graph.run(list(token_ids))

    def _encode(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):
            ids = self.tokenizer.encode(prompt)
            return ids or ([self.tokenizer.bos_id] if self.tokenizer.bos_id is not None else [])
        if prompt and isinstance(prompt[0], Mapping):
            return self._encode_messages(cast("Sequence[Message]", prompt))
        return [int(token) for token in cast("Sequence[int]", prompt)]

    def _encode_messages(self, messages: Sequence[Message]) -> list[int]:
        if self.chat_template is None:
            raise EdgeqError(
                "bundle without chat template",
                file=self.bundle.directory,
                remedy="give a text instead, or run with --raw",
            )
        # The template itself writes the special tokens.
        return self.tokenizer.encode(self.chat_template.render(messages), special=False)

    def _limit(self, prompt: int, max_new_tokens: int | None) -> tuple[int, str]:
        wanted = DEFAULT_MAX_NEW_TOKENS if max_new_tokens is None else max_new_tokens
        if wanted < 1:
            raise EdgeqError("option out of range", field="max_new_tokens", found=wanted, wanted="at least 1")
        room = self.context_length - prompt
        return (wanted, "length") if wanted <= room else (room, "context")

    def _begin(self, ids: list[int], limit: int, *, reuse: bool) -> tuple[int, int]:
        """Sets the cache up; how many of the tokens it already holds, and the sequence's number."""
        held = [*self._last.prompt_ids, *self._last.token_ids] if reuse and self._last else []
        # The last prompt token is computed in any case: its logits are needed.
        same = _common_prefix(held[: self.graph.cache.length], ids[:-1])
        return same, self.graph.begin(same, len(ids) + limit)


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
