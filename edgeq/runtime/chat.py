# SPDX-License-Identifier: Apache-2.0
"""Chat templates: Jinja programs from model files, run as untrusted code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError
from edgeq.runtime.limits import LimitExceededError, time_and_memory_limit
from edgeq.runtime.tokenizer import TokenizerConfig

TEMPLATE_NAME = "chat_template.jinja"
MAX_TEMPLATE = 1 << 20
MAX_OUTPUT = 4 << 20  # characters
MAX_SECONDS = 5.0
MAX_BYTES = 256 << 20
MAX_INTEGER = 1 << 63
Message = Mapping[str, Any]


class ChatTemplate:
    """A compiled chat template.

    Args:
        source: The Jinja source.
        config: The tokenizer's configuration, whose special tokens templates use.
        file: Where the source comes from, for errors.

    Raises:
        EdgeqError: The source is too long or not valid.
    """

    def __init__(self, source: str, config: TokenizerConfig, file: str) -> None:
        self._file = file
        if len(source) > MAX_TEMPLATE:
            raise EdgeqError(
                "chat template too long", file=file, found=len(source), wanted=f"at most {MAX_TEMPLATE} characters"
            )
        names = ("bos_token", "eos_token", "unk_token", "pad_token")
        self._tokens = {name: config.special_token(name) or "" for name in names}
        try:
            with time_and_memory_limit(MAX_SECONDS, MAX_BYTES):
                self._template = _environment().from_string(source)
        except (TemplateError, LimitExceededError, MemoryError, RecursionError, ValueError, OverflowError) as error:
            raise EdgeqError("invalid chat template", file=file, found=_reason(error)) from error

    @classmethod
    def from_bundle(cls, bundle: Bundle, config: TokenizerConfig) -> ChatTemplate | None:
        """The template of a bundle, ``None`` if it has none.

        Raises:
            EdgeqError: It is not valid.
        """
        file = bundle.file(TEMPLATE_NAME)
        if file is not None:
            return cls(file.read_text(encoding="utf-8", errors="replace"), config, str(file))
        source = config.chat_template
        if isinstance(source, list):
            source = next((entry.get("template") for entry in source if entry.get("name") == "default"), None)
        return cls(source, config, f"{bundle.directory}/tokenizer_config.json: chat_template") if source else None

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """The prompt for a conversation.

        Args:
            messages: Objects with ``role`` and ``content``.
            add_generation_prompt: End with the opening of the assistant's turn.

        Raises:
            EdgeqError: The template fails, refuses the messages, or exceeds its limits of time, memory or output.
        """
        values = {
            **self._tokens,
            "messages": list(messages),
            "add_generation_prompt": add_generation_prompt,
            "tools": None,
        }
        try:
            with time_and_memory_limit(MAX_SECONDS, MAX_BYTES):
                return self._collect(values)
        # A template is a program: it can fail in any way that Python can.
        except Exception as error:
            raise EdgeqError(
                "chat template failed", file=self._file, found=_reason(error), remedy="run with --raw to go without it"
            ) from error

    def _collect(self, values: dict[str, Any]) -> str:
        pieces, length = [], 0
        for piece in self._template.generate(values):
            length += len(piece)
            if length > MAX_OUTPUT:
                raise LimitExceededError(f"more than {MAX_OUTPUT} characters of output")
            pieces.append(piece)
        return "".join(pieces)


class _Environment(ImmutableSandboxedEnvironment):
    # Powers and products of huge integers take unbounded time in one instruction, where no limit can interrupt.
    intercepted_binops = frozenset({"**", "*"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        huge = any(isinstance(value, int) and abs(value) > MAX_INTEGER for value in (left, right))
        if operator == "**" or huge:
            raise LimitExceededError("too large a power or product")
        return super().call_binop(context, operator, left, right)


def _environment() -> _Environment:
    environment = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False) -> str:
    # Jinja's own escapes HTML, which models have not been trained on.
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(str(message))


def _strftime_now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
