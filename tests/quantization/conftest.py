# SPDX-License-Identifier: Apache-2.0
"""Tiny random checkpoints on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM


def save_llama(directory: Path, **changes: object) -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 50,
    }
    config = LlamaConfig(**{**sizes, "num_key_value_heads": 2, "max_position_embeddings": 64, **changes})  # type: ignore[arg-type]
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(directory)
    return model


@pytest.fixture(scope="session")
def untied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LlamaForCausalLM]:
    directory = tmp_path_factory.mktemp("untied")
    return directory, save_llama(directory, tie_word_embeddings=False)


@pytest.fixture(scope="session")
def tied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LlamaForCausalLM]:
    directory = tmp_path_factory.mktemp("tied")
    return directory, save_llama(directory, tie_word_embeddings=True)


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GPT2LMHeadModel]:
    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("gpt2")
    model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=50, n_positions=32)).eval()
    model.save_pretrained(directory)
    return directory, model
