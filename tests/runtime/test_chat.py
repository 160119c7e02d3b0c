# SPDX-License-Identifier: Apache-2.0
"""Chat templates: what they render, and what they may not do."""

from __future__ import annotations

import resource
import sys
from typing import Any

import pytest

from edgeq.errors import EdgeqError
from edgeq.runtime import chat
from edgeq.runtime.chat import ChatTemplate
from edgeq.runtime.limits import LimitExceededError, time_and_memory_limit
from edgeq.runtime.tokenizer import TokenizerConfig

CONFIG = TokenizerConfig.model_validate({"bos_token": {"content": "<s>"}, "eos_token": "</s>"})
MESSAGES = [{"role": "system", "content": "Be <brief>."}, {"role": "user", "content": "Hé!"}]
CHATML = (
    "{% for message in messages %}\n"
    "    {% if loop.first and message.role != 'system' %}{{ '<|im_start|>system\\nHelp.<|im_end|>\\n' }}{% endif %}\n"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content | trim + '<|im_end|>\\n' }}"
    "{% endfor %}\n"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def render(source: str, messages: list[dict[str, Any]] | None = None) -> str:
    return ChatTemplate(source, CONFIG, "template").render(messages or MESSAGES)


def test_chatml() -> None:
    assert render(CHATML) == (
        "<|im_start|>system\nBe <brief>.<|im_end|>\n<|im_start|>user\nHé!<|im_end|>\n<|im_start|>assistant\n"
    )


def test_rendering_agrees_with_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    from tests.tiny_decoder import byte_tokenizer

    special = {"bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer(), **special)
    loop = "{% for m in messages %}{% if m.role == 'x' %}{% continue %}{% endif %}{{ m | tojson }}\n{% endfor %}"
    source = "{{ bos_token }}" + loop
    for template in (CHATML, source):
        wanted = tokenizer.apply_chat_template(
            MESSAGES, chat_template=template, tokenize=False, add_generation_prompt=True
        )
        assert render(template) == wanted


def test_a_template_can_refuse() -> None:
    with pytest.raises(EdgeqError, match=r"template: chat template failed, found TemplateError: no system role"):
        render("{{ raise_exception('no system role') }}")


def test_an_invalid_template_is_named() -> None:
    with pytest.raises(EdgeqError, match=r"template: invalid chat template, found TemplateSyntaxError"):
        render("{% for %}")


ATTACKS = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "format": "{{ '{0.__class__.__init__}'.format(messages) ~ raise_exception('empty') }}",
    "mutation": "{{ messages.append({}) }}",
    "module": "{% include '/etc/passwd' %}",
    "long product": "{{ 'A' * 10000000000 }}",
    "power": "{{ 9 ** 9 ** 9 }}",
    "wide filter": "{{ '' | center(100000000000) }}",
    "wide format": "{{ '%100000000000d' % 1 }}",
    "long list": "{{ [1] * 100000000000 }}",
    "doubling": "{% set n = namespace(x='aaaa') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "squaring": "{% set n = namespace(x=9) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "long output": "{% for i in range(10000) %}{{ 'a' * 1000 }}{% endfor %}",
    "long range": "{{ range(100000000) | list }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "loop": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
}


@pytest.mark.parametrize("source", ATTACKS.values(), ids=ATTACKS.keys())
def test_attacks_end_in_an_error(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "MAX_SECONDS", 0.5)
    with pytest.raises(EdgeqError, match="chat template"):
        render(source)


def test_hidden_attributes_are_undefined() -> None:
    assert render("{{ messages | attr('__class__') | attr('__mro__') | list }}") == "[]"


def test_a_template_that_is_too_long() -> None:
    with pytest.raises(EdgeqError, match="chat template too long"):
        render("a" * (chat.MAX_TEMPLATE + 1))


def test_limits_are_lifted_afterwards() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS), sys.gettrace()
    with pytest.raises(MemoryError), time_and_memory_limit(600, 1 << 20):
        bytearray(1 << 27)
    assert (resource.getrlimit(resource.RLIMIT_AS), sys.gettrace()) == before
    assert len(bytearray(1 << 27)) == 1 << 27


def test_the_time_limit_ends_a_loop() -> None:
    def forever() -> None:
        while True:
            pass

    with pytest.raises(LimitExceededError, match=r"more than 0\.1 seconds"), time_and_memory_limit(0.1, 1 << 28):
        forever()
