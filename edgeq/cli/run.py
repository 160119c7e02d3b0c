# SPDX-License-Identifier: Apache-2.0
"""``edgeq run``: text from a bundle."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from edgeq.cli.console import print_json
from edgeq.cli.options import HugePages, Library, Threads, Verify
from edgeq.cli.statistics import statistics
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.runtime.model import Model, Prompt
    from edgeq.runtime.options import GenerateOptions


def command(
    bundle: Annotated[Path, Argument(help="Bundle directory.")],
    prompt: Annotated[
        str | None,
        Option(
            "--prompt",
            "-p",
            help="Text to continue; - reads it from stdin. Without it: interactive.",
            show_default=False,
        ),
    ] = None,
    max_new_tokens: Annotated[int, Option("--max-new-tokens", "-n", min=1, help="Tokens to generate at most.")] = 256,
    temperature: Annotated[
        float | None, Option(min=0, help="0: the most likely token. (default: as the bundle says)", show_default=False)
    ] = None,
    top_k: Annotated[
        int | None, Option(min=0, help="Draw from the k most likely tokens; 0: all.", show_default=False)
    ] = None,
    top_p: Annotated[
        float | None,
        Option(min=0, max=1, help="Draw from the most likely tokens that together reach it.", show_default=False),
    ] = None,
    min_p: Annotated[
        float | None,
        Option(
            min=0, max=1, help="Drop tokens below this share of the most likely one's probability.", show_default=False
        ),
    ] = None,
    repetition_penalty: Annotated[
        float | None, Option(help="Above 1: disfavour tokens already seen.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, Option(min=0, help="Seed of the sampler. (default: random)", show_default=False)
    ] = None,
    stop: Annotated[list[str] | None, Option(help="End at this string; may be repeated.", show_default=False)] = None,
    system: Annotated[str | None, Option(help="System message of a chat.", show_default=False)] = None,
    chat: Annotated[
        bool | None,
        Option("--chat/--raw", help="Apply the chat template, or not. (default: if there is one)", show_default=False),
    ] = None,
    threads: Threads = None,
    library: Library = None,
    verify: Verify = True,
    huge_pages: HugePages = False,
    as_json: Annotated[bool, Option("--json", help="Print text, tokens and timings as JSON.")] = False,
) -> None:
    """Generate text: continue a prompt, or chat when there is none."""
    if prompt is None and as_json:
        raise EdgeqError("no prompt", field="--json", remedy="add --prompt TEXT, or --prompt - to read it from stdin")
    from edgeq.runtime.loading import load_decoder

    text = sys.stdin.read() if prompt == "-" else prompt
    model = load_decoder(bundle, threads, library, verify)
    templated = model.chat_template is not None if chat is None else chat
    options: GenerateOptions = {
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
        from edgeq.cli.chat import Chat

        Chat(model, options, system, templated).loop()
    elif as_json:
        generation = model.generate(_as_prompt(text, system, templated), **options)
        print_json({**generation.to_dict(), "load_seconds": model.load_seconds})
    else:
        _stream(model, _as_prompt(text, system, templated), options)


def _as_prompt(text: str, system: str | None, templated: bool) -> "Prompt":
    if not templated:
        if system is not None:
            raise EdgeqError(
                "a system message needs a chat template", field="--system", remedy="leave it out, or add --chat"
            )
        return text
    messages = [{"role": "system", "content": system}] if system is not None else []
    return [*messages, {"role": "user", "content": text}]


def _stream(model: "Model", prompt: "Prompt", options: "GenerateOptions") -> None:
    stream = model.stream(prompt, **options)
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
