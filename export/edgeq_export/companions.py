# SPDX-License-Identifier: Apache-2.0
"""The files beside a model that a bundle takes along: configuration, tokenizer, chat template, pooling."""

from __future__ import annotations

from pathlib import Path

NAMES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    # sentence-transformers: which pooling and normalization follow the hidden states
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
)


def companion_files(directory: Path) -> dict[str, Path]:
    """Those of the files that a directory has, by path inside the bundle."""
    return {name: directory / name for name in NAMES if (directory / name).is_file()}
