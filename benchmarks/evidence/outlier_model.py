# SPDX-License-Identifier: Apache-2.0
"""A decoder that computes what another does, with outliers in its activations as large models have them.

Every so many channels of each norm's weight are multiplied by a factor, and the columns that read them divided by it:
small models have no outliers of their own, and nothing else changes.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from evidence.subjects import Subject

SUFFIX = "-outliers"
FACTOR, EVERY = 50.0, 16
READERS = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
}


def with_outliers(subject: Subject, directory: Path) -> Subject:
    """The same subject with a checkpoint of that kind.

    Args:
        subject: A decoder of the Llama kind.
        directory: Where the checkpoint is made.
    """
    loader: Any = AutoModelForCausalLM  # its methods have no types
    model = loader.from_pretrained(str(subject.checkpoint), dtype=torch.float32)
    for layer in model.model.layers:
        add_outliers(layer)
    target = directory / f"{subject.name}{SUFFIX}"
    model.save_pretrained(target)
    for file in subject.checkpoint.glob("*token*"):
        shutil.copy(file, target)
    return replace(subject, name=f"{subject.name}{SUFFIX}", checkpoint=target)


@torch.no_grad()
def add_outliers(layer: Any) -> None:
    """Changes a decoder layer in place; its outputs stay as they were."""
    for norm, readers in READERS.items():
        layer.get_submodule(norm).weight[::EVERY] *= FACTOR
        for reader in readers:
            layer.get_submodule(reader).weight[:, ::EVERY] /= FACTOR
