# SPDX-License-Identifier: Apache-2.0
"""``genai_config.json``: what onnxruntime-genai and edgeq's runtime need to run a decoder graph."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgeq.bundle.platforms import current_platform, library_location
from edgeq.errors import EdgeqError
from edgeq_export.bundle_writer import uses_edgeq_operators
from edgeq_export.interface import PAST, PRESENT, cache_of
from edgeq_export.model_file import MODEL_NAME
from edgeq_export.passes import check

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import onnx_ir as ir

# What onnxruntime-genai 0.15 calls a decoder that takes these graphs; types not listed keep their name.
GENAI_TYPES = {"gpt2": "decoder", "opt": "decoder"}
SEARCH_DEFAULTS = {"do_sample": False, "temperature": 1.0, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.0}
ERRORS_ONLY = 3  # without this, ONNX Runtime warns of every input that has a default value
SPECIAL_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")
# What GPT-2 and its relatives call these fields.
_ALIASES = {
    "num_attention_heads": ("n_head",),
    "max_position_embeddings": ("n_positions", "n_ctx"),
    "hidden_size": ("n_embd", "dim"),
}


def decoder_document(model: ir.Model, config: Mapping[str, Any], generation: Mapping[str, Any]) -> dict[str, Any]:
    """``genai_config.json`` of a decoder graph, traced by edgeq or written by another exporter.

    Args:
        model: The finished graph.
        config: The transformers configuration.
        generation: ``generation_config.json``; may be empty. It decides special tokens and the sampling by default.

    Raises:
        EdgeqError: The configuration does not tell the vocabulary or the context, or the graph not its cache's shape.
    """
    context = _field(config, "max_position_embeddings")
    search = {name: value for name in SEARCH_DEFAULTS if (value := generation.get(name)) is not None}
    shared = cache_of(model).shared
    return {
        "model": {
            "type": GENAI_TYPES.get(str(config.get("model_type")), config.get("model_type")),
            "vocab_size": _field(config, "vocab_size"),
            "context_length": context,
            **_special_tokens(config, generation),
            "decoder": _decoder(model, config),
        },
        "search": {"max_length": context, **SEARCH_DEFAULTS, **search, "past_present_share_buffer": shared},
    }


def _special_tokens(config: Mapping[str, Any], generation: Mapping[str, Any]) -> dict[str, Any]:
    tokens = {name: generation.get(name, config.get(name)) for name in SPECIAL_TOKENS}
    if tokens["pad_token_id"] is None:  # onnxruntime-genai insists on one
        tokens["pad_token_id"] = _first(tokens["eos_token_id"])
    return {name: value for name, value in tokens.items() if value is not None}


def _decoder(model: ir.Model, config: Mapping[str, Any]) -> dict[str, Any]:
    cache = cache_of(model)
    heads = _field(config, "num_attention_heads", cache.heads)
    library = {"custom_ops_library": library_location(current_platform())} if uses_edgeq_operators(model) else {}
    session = {"log_id": "onnxruntime-genai", "log_severity_level": ERRORS_ONLY, "provider_options": [], **library}
    present = {str(value.name) for value in model.graph.inputs}
    inputs = {name: name for name in ("input_ids", "attention_mask", "position_ids") if name in present}
    return {
        "session_options": session,
        "filename": MODEL_NAME,
        "head_size": cache.head_size,
        "hidden_size": _field(config, "hidden_size", heads * cache.head_size),
        "num_attention_heads": heads,
        "num_hidden_layers": cache.layers,
        "num_key_value_heads": cache.heads,
        "inputs": inputs | _cache_names("past", PAST),
        "outputs": {"logits": "logits", **_cache_names("present", PRESENT)},
    }


def _field(config: Mapping[str, Any], name: str, default: int | None = None) -> int:
    names = (name, *_ALIASES.get(name, ()))
    value = next((config[alias] for alias in names if config.get(alias) is not None), default)
    check(
        isinstance(value, int), "field missing or wrong", file="config.json", field=name, found=value, wanted="a number"
    )
    return int(value or 0)


def _cache_names(prefix: str, pattern: str) -> dict[str, str]:
    return {f"{prefix}_{part}_names": pattern.format(part) for part in ("key", "value")}


def read_generation(directory: Path) -> dict[str, Any]:
    """``generation_config.json`` of a model; empty if it has none.

    Raises:
        EdgeqError: The file is not a JSON object.
    """
    return read_object(directory / "generation_config.json")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file beside a model; empty if there is none.

    Raises:
        EdgeqError: The file is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EdgeqError(f"cannot read JSON ({error})", file=path, remedy="download the model again") from error
    if not isinstance(value, dict):
        raise EdgeqError("wrong JSON", file=path, found=type(value).__name__, wanted="an object")
    return value


def _first(token: int | list[int] | None) -> int | None:
    return token[0] if isinstance(token, list) and token else token if isinstance(token, int) else None
