# SPDX-License-Identifier: Apache-2.0
"""Random models of every supported architecture, small enough to export in seconds."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

VOCABULARY = 96
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
# Windows are shorter than the test's 16-token prompt, so that they matter.
WINDOW = 6
LONG_ROPE_CONTEXT = 12
_LONG_ROPE = {
    "type": "longrope",
    "short_factor": [1.0, 1.1, 1.3, 1.7],
    "long_factor": [2.0, 3.0, 5.0, 9.0],
}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama-tied": ("llama", {"tie_word_embeddings": True, "head_dim": 24, "attention_bias": True}),
    "mistral": ("mistral", {"sliding_window": WINDOW}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"head_dim": 32}),
    "gemma": ("gemma", {"head_dim": 32}),
    "gemma2": (
        "gemma2",
        {
            "head_dim": 32,
            "sliding_window": WINDOW,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
            "query_pre_attn_scalar": 24,
        },
    ),
    "gemma3": (
        "gemma3_text",
        {
            "head_dim": 32,
            "sliding_window": WINDOW,
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_scaling": {"rope_type": "linear", "factor": 2.0},
        },
    ),
    "phi3": ("phi3", {"sliding_window": WINDOW, "partial_rotary_factor": 0.5}),
    "phi3-longrope": (
        "phi3",
        {
            "partial_rotary_factor": 0.5,
            "original_max_position_embeddings": LONG_ROPE_CONTEXT,
            "rope_scaling": _LONG_ROPE,
        },
    ),
    "opt": ("opt", {"ffn_dim": 96, "word_embed_proj_dim": 48}),
    "gpt2": (
        "gpt2",
        {
            "n_embd": 64,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 128,
            "n_inner": 96,
            "scale_attn_by_inverse_layer_idx": True,
        },
    ),
}


def tiny_model(name: str) -> Any:
    """A model of `CONFIGS` in evaluation mode, every parameter random, norms and biases too."""
    model_type, changes = CONFIGS[name]
    accepted = AutoConfig.for_model(model_type).to_dict().keys() | {"rope_scaling", "rope_theta", "head_dim"}
    config = AutoConfig.for_model(model_type, **{k: v for k, v in COMMON.items() if k in accepted} | changes)
    torch.manual_seed(0)
    loader: Any = AutoModelForCausalLM  # its methods have no types
    model = loader.from_config(config, attn_implementation="eager").eval()
    for parameter_name, parameter in model.named_parameters():
        spread = 0.1 if parameter.ndim > 1 else 0.2
        center = 1.0 if "norm" in parameter_name or "ln_" in parameter_name else 0.0
        parameter.data.normal_(0.0, spread).add_(
            center if parameter_name.endswith("weight") and parameter.ndim == 1 else 0.0
        )
    return model
