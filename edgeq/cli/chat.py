# SPDX-License-Identifier: Apache-2.0
"""The interactive loop of ``edgeq run``."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from edgeq.cli.statistics import statistics
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.runtime.model import Model, Prompt
    from edgeq.runtime.options import GenerateOptions

HELP = "/exit or Ctrl-D leaves, /clear forgets the conversation, Ctrl-C stops an answer."


class Chat:
    """A conversation; without a chat template every line is continued by itself.

    Args:
        model: The decoder.
        options: Of each answer.
        system: System message.
        templated: Whether the chat template is applied.
    """

    def __init__(self, model: Model, options: GenerateOptions, system: str | None, templated: bool) -> None:
        self._model, self._templated = model, templated
        self._options: GenerateOptions = {**options, "reuse_prefix": True}
        self._start: list[dict[str, Any]] = [{"role": "system", "content": system}] if system is not None else []
        self._messages = list(self._start)

    def loop(self) -> None:
        """Reads lines from stdin until it ends."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 (input() then has history and editing)
        interactive = sys.stdin.isatty()
        if interactive:
            print(HELP, file=sys.stderr)
        while (line := self._read("> " if interactive else "")) is not None:
            command = line.strip()
            if command == "/exit":
                return
            if command == "/clear":
                self._messages = list(self._start)
            elif command:
                self._answer(line)

    def _read(self, prompt: str) -> str | None:
        try:
            return input(prompt)
        except EOFError:
            return None

    def _answer(self, line: str) -> None:
        prompt: Prompt = [*self._messages, {"role": "user", "content": line}] if self._templated else line
        try:
            text = self._generate(prompt)
        except EdgeqError as error:  # such as a full context: the conversation can go on after /clear
            print(f"edgeq: {error}", file=sys.stderr)
            return
        if self._templated:
            self._messages += [{"role": "user", "content": line}, {"role": "assistant", "content": text}]

    def _generate(self, prompt: Prompt) -> str:
        stream = self._model.stream(prompt, **self._options)
        try:
            for piece in stream:
                print(piece, end="", flush=True)
        except KeyboardInterrupt:
            pass
        print()
        print(statistics(stream.generation, self._model.load_seconds), file=sys.stderr)
        return stream.generation.text
