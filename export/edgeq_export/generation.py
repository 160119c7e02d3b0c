# SPDX-License-Identifier: Apache-2.0
"""``genai_config.json`` of decoders that come from PyTorch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgeq.errors import EdgeqError
from edgeq_export.bundle_writer import uses_edgeq_operators
from edgeq_export.rewrite.genai import genai_config
from edgeq_export.rewrite.interface import cache_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import onnx_ir as ir

# What onnxruntime-genai 0.15 calls a decoder that takes these graphs; types not listed keep their name.
GENAI_TYPES = {"gpt2": "decoder", "opt": "decoder"}
SEARCH_DEFAULTS = {"do_sample": False, "temperature": 1.0, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.0}
ERRORS_ONLY = 3  # without this, ONNX Runtime warns of every input that has a default value


def decoder_document(model: ir.Model, config: Any, generation: Mapping[str, Any]) -> dict[str, Any]:
    """What onnxruntime-genai and edgeq's runtime need to run a traced decoder.

    Args:
        model: The graph.
        config: The transformers configuration.
        generation: ``generation_config.json``; may be empty. It decides special tokens and the sampling by default.
    """
    document = genai_config(model, cache_of(model), config.to_dict(), generation, library=uses_edgeq_operators(model))
    section = document["model"]
    section["type"] = GENAI_TYPES.get(config.model_type, config.model_type)
    section["decoder"]["session_options"]["log_severity_level"] = ERRORS_ONLY
    section.setdefault("pad_token_id", _first(section.get("eos_token_id")))
    if section["pad_token_id"] is None:
        del section["pad_token_id"]
    wanted = {name: generation.get(name) for name in SEARCH_DEFAULTS}
    document["search"] |= SEARCH_DEFAULTS | {name: value for name, value in wanted.items() if value is not None}
    return document


def read_generation(directory: Path) -> dict[str, Any]:
    """``generation_config.json`` of a checkpoint; empty if it has none.

    Raises:
        EdgeqError: The file is not a JSON object.
    """
    path = directory / "generation_config.json"
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EdgeqError(f"cannot read JSON ({error})", file=path, remedy="download the checkpoint again") from error
    if not isinstance(value, dict):
        raise EdgeqError("wrong JSON", file=path, found=type(value).__name__, wanted="an object")
    return value


def _first(token: int | list[int] | None) -> int | None:
    return token[0] if isinstance(token, list) and token else token if isinstance(token, int) else None
