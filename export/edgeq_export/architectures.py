# SPDX-License-Identifier: Apache-2.0
"""The decoders that can be exported; the one place to add another.

A model belongs here when its attention goes through transformers' attention interface (`ALL_ATTENTION_FUNCTIONS`) and
its logits agree with PyTorch in ``tests/export/test_decoder_parity.py``: add a tiny configuration of it to
``tests/export/tiny_models.py`` along with the line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeq.errors import EdgeqError
from edgeq_export.long_rope import traceable_long_rope

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import nn

HEAD_MULTIPLE = 8  # what GroupQueryAttention wants of the size of a head
SUPPORTED_ROPE = ("default", "linear", "llama3", "yarn", "longrope")


@dataclass(frozen=True)
class Architecture:
    """What is special about a decoder.

    Attributes:
        note: In words, for the documentation.
        attention_scale: Scale of the attention scores of a layer, where the model does not pass it on.
        traceable: Makes parts of the model traceable that branch on values.
    """

    note: str = ""
    attention_scale: Callable[[Any], float] | None = None
    traceable: Callable[[nn.Module], AbstractContextManager[None]] | None = None


def _gpt2_scale(attention: Any) -> float:
    scale = float(attention.head_dim) ** -0.5 if attention.scale_attn_weights else 1.0
    return scale / (attention.layer_idx + 1) if attention.scale_attn_by_inverse_layer_idx else scale


DECODERS: dict[str, Architecture] = {
    "gemma": Architecture("scaled embedding, tied head"),
    "gemma2": Architecture("soft-capped scores and logits, every other layer with a sliding window"),
    "gemma3_text": Architecture("two rotary bases, sliding windows between global layers, normalized queries and keys"),
    "gpt2": Architecture("fused qkv as Conv1D, learned positions", attention_scale=_gpt2_scale),
    "llama": Architecture("also SmolLM, TinyLlama and other models of this type"),
    "mistral": Architecture("sliding window in every layer"),
    "opt": Architecture("learned positions, biases"),
    "phi3": Architecture("fused qkv, partial and long rotary embedding", traceable=traceable_long_rope),
    "qwen2": Architecture("biased qkv"),
    "qwen3": Architecture("normalized queries and keys"),
}


def find_architecture(config: Any, file: Path | None = None) -> Architecture:
    """The entry of a transformers configuration.

    Args:
        config: A transformers configuration.
        file: Where it was read, for messages.

    Raises:
        EdgeqError: The architecture, or an option of it, cannot be exported.
    """
    if config.model_type not in DECODERS:
        raise EdgeqError(
            "unknown architecture",
            file=file,
            field="model_type",
            found=config.model_type,
            wanted=", ".join(DECODERS),
            remedy="export it to ONNX first (optimum-cli export onnx), then give edgeq the .onnx file",
        )
    for rope in _rope_types(config):
        if rope not in SUPPORTED_ROPE:
            raise EdgeqError(
                "unsupported rotary embedding",
                file=file,
                field="rope_type",
                found=rope,
                wanted=", ".join(SUPPORTED_ROPE),
            )
    if getattr(config, "use_bidirectional_attention", False):
        raise EdgeqError("not a causal model", file=file, field="use_bidirectional_attention", found=True, wanted=False)
    size = _head_size(config)
    if size is not None and size % HEAD_MULTIPLE:
        raise EdgeqError(
            "unsupported size of attention heads",
            file=file,
            field="head_dim",
            found=size,
            wanted=f"a multiple of {HEAD_MULTIPLE}, as ONNX Runtime's GroupQueryAttention has it",
            remedy="export it to ONNX first (optimum-cli export onnx), then give edgeq the .onnx file",
        )
    return DECODERS[config.model_type]


def _head_size(config: Any) -> int | None:
    """Size of a head; ``None`` where config.json leaves it to the defaults of its class."""
    if getattr(config, "head_dim", None):
        return int(config.head_dim)
    hidden = getattr(config, "hidden_size", None) or getattr(config, "n_embd", None)
    heads = getattr(config, "num_attention_heads", None) or getattr(config, "n_head", None)
    return hidden // heads if hidden and heads else None


def _rope_types(config: Any) -> set[str]:
    """Rotary types of all layers; transformers 5 nests them by layer type and renames the field."""
    parameters = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    nested = [value for value in parameters.values() if isinstance(value, dict)] or [parameters]
    return {str(entry.get("rope_type", entry.get("type", "default"))) for entry in nested}
