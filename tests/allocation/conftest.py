# SPDX-License-Identifier: Apache-2.0
"""A random Llama on disk, and token ids to calibrate it with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.tiny_decoder import byte_tokenizer

VOCABULARY = 64


@dataclass(frozen=True)
class TinyModel:
    checkpoint: Path
    tokens: Path


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """Two blocks with matrices of 32 and 64; weights large enough that their errors move the predictions."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
    )
    directory = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(config).save_pretrained(directory / "model")
    byte_tokenizer().save(str(directory / "model" / "tokenizer.json"))
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (6, 24))
    np.save(directory / "tokens.npy", tokens)
    return TinyModel(directory / "model", directory / "tokens.npy")
