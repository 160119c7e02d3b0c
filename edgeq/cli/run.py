# SPDX-License-Identifier: Apache-2.0
"""``edgeq run``: text from a bundle."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edgeq.cli import run_options as options
from edgeq.cli.console import print_json
from edgeq.cli.options import Bundle, HugePages, Library, Threads, Verify
from edgeq.cli.statistics import statistics
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.runtime.model import Model, Prompt
    from edgeq.runtime.options import GenerateOptions


def command(
    bundle: Bundle,
    prompt: options.Prompt = None,
    max_new_tokens: options.MaxNewTokens = 256,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    repetition_penalty: options.RepetitionPenalty = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    system: options.System = None,
    chat: options.Templated = None,
    threads: Threads = None,
    library: Library = None,
    verify: Verify = True,
    huge_pages: HugePages = False,
    as_json: options.AsJson = False,
) -> None:
    """Generate text: continue a prompt, or chat when there is none."""
    if prompt is None and as_json:
        raise EdgeqError("no prompt", field="--json", remedy="add --prompt TEXT, or --prompt - to read it from stdin")
    from edgeq.runtime.loading import load_decoder

    text = sys.stdin.read() if prompt == "-" else prompt
    model = load_decoder(bundle, threads, library, verify)
    templated = model.chat_template is not None if chat is None else chat
    how: GenerateOptions = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "stop": stop,
    }
    if text is None:
        _chat(model, how, system, templated)
    elif as_json:
        _print_generation(model, _as_prompt(text, system, templated), how)
    else:
        _stream(model, _as_prompt(text, system, templated), how)


def _chat(model: Model, how: GenerateOptions, system: str | None, templated: bool) -> None:
    from edgeq.cli.chat import Chat

    Chat(model, how, system, templated).loop()


def _print_generation(model: Model, prompt: Prompt, how: GenerateOptions) -> None:
    generation = model.generate(prompt, **how)
    print_json({**generation.to_dict(), "load_seconds": model.load_seconds})


def _as_prompt(text: str, system: str | None, templated: bool) -> Prompt:
    if not templated:
        if system is not None:
            raise EdgeqError(
                "a system message needs a chat template", field="--system", remedy="leave it out, or add --chat"
            )
        return text
    messages = [{"role": "system", "content": system}] if system is not None else []
    return [*messages, {"role": "user", "content": text}]


def _stream(model: Model, prompt: Prompt, how: GenerateOptions) -> None:
    stream = model.stream(prompt, **how)
    if isinstance(prompt, str):
        sys.stdout.write(prompt)
    try:
        for piece in stream:
            sys.stdout.write(piece)
            sys.stdout.flush()
    finally:  # also when Ctrl-C ends it
        sys.stdout.write("\n")
        sys.stdout.flush()
        print(statistics(stream.generation, model.load_seconds), file=sys.stderr)
