# SPDX-License-Identifier: Apache-2.0
"""``genai_config.json`` for decoder graphs that other exporters wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from edgeq.bundle.platforms import current_platform, library_location
from edgeq_export.model_file import MODEL_NAME
from edgeq_export.passes import check
from edgeq_export.rewrite.interface import PAST, PRESENT, Cache

# What GPT-2 and its relatives call these fields.
_ALIASES = {
    "num_attention_heads": ("n_head",),
    "max_position_embeddings": ("n_positions", "n_ctx"),
    "hidden_size": ("n_embd", "dim"),
}


def genai_config(
    model: ir.Model, cache: Cache, config: Mapping[str, Any], generation: Mapping[str, Any], *, library: bool
) -> dict[str, Any]:
    """What onnxruntime-genai and edgeq's runtime need to run a decoder.

    Args:
        model: The graph, of kind ``decoder``.
        cache: Its cache.
        config: ``config.json``.
        generation: ``generation_config.json``; may be empty.
        library: Whether the graph needs edgeq's operator library.

    Raises:
        EdgeqError: ``config.json`` does not tell the vocabulary or the context.
    """
    special = {
        name: generation.get(name, config.get(name)) for name in ("bos_token_id", "eos_token_id", "pad_token_id")
    }
    heads = _field(config, "num_attention_heads", cache.heads)
    session = {"custom_ops_library": library_location(current_platform())} if library else {}
    decoder = {
        "session_options": {"log_id": "onnxruntime-genai", "provider_options": [], **session},
        "filename": MODEL_NAME,
        "head_size": cache.head_size,
        "hidden_size": _field(config, "hidden_size", heads * cache.head_size),
        "num_attention_heads": heads,
        "num_hidden_layers": cache.layers,
        "num_key_value_heads": cache.heads,
        "inputs": _inputs(model),
        "outputs": {"logits": "logits", **_names("present", PRESENT)},
    }
    context = _field(config, "max_position_embeddings")
    return {
        "model": {
            "type": config.get("model_type"),
            "vocab_size": _field(config, "vocab_size"),
            "context_length": context,
            **{name: value for name, value in special.items() if value is not None},
            "decoder": decoder,
        },
        "search": {
            "max_length": context,
            "do_sample": bool(generation.get("do_sample", False)),
            "past_present_share_buffer": cache.shared,
        },
    }


def _field(config: Mapping[str, Any], name: str, default: int | None = None) -> int:
    names = (name, *_ALIASES.get(name, ()))
    value = next((config[alias] for alias in names if config.get(alias) is not None), default)
    check(
        isinstance(value, int), "field missing or wrong", file="config.json", field=name, found=value, wanted="a number"
    )
    return int(value or 0)


def _inputs(model: ir.Model) -> dict[str, str]:
    present = {str(value.name) for value in model.graph.inputs}
    plain = {name: name for name in ("input_ids", "attention_mask", "position_ids") if name in present}
    return plain | _names("past", PAST)


def _names(prefix: str, pattern: str) -> dict[str, str]:
    return {f"{prefix}_{part}_names": pattern.format(part) for part in ("key", "value")}
