# SPDX-License-Identifier: Apache-2.0
"""What of a bundle no budget decides on: vocabulary, norms, tables, documents, operators, keys and values."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.allocation.resources import Rest
from edgeq.checkpoint import Checkpoint
from edgeq.kv_cache import parse_kv_cache
from edgeq.quantization.layers import layer_record, scheme_of

if TYPE_CHECKING:
    from edgeq.quantization.skeleton import Target
    from edgeq.recipe import Recipe

PAGE = 4096  # what tensors are aligned to in a bundle
# The graph of books-6m takes 1.2 kB per matrix, the manifest half of one, documents 3 kB; here with a wide margin.
GRAPH_BYTES, MANIFEST_BYTES, DOCUMENT_BYTES = 4_000, 900, 40_000
RUNTIME_BYTES = 75_000_000  # ONNX Runtime, the operators and Python with NumPy, resident without a model: 72 MB


def estimate_rest(
    model: Any, checkpoint: Checkpoint, recipe: Recipe, targets: Sequence[Target], decided: Collection[str]
) -> Rest:
    """What a budget does not decide on; sizes that are not known before the export are rounded up.

    Args:
        model: The skeleton.
        checkpoint: Where it came from.
        recipe: Schemes of the other layers, key-value cache, platforms.
        targets: All layers.
        decided: Names of those that the budget decides on.

    Raises:
        EdgeqError: There is no operator library for a platform, or a scheme does not exist.
    """
    plan, others = recipe.plan(), [target for target in targets if target.name not in decided]
    records = {target.name: layer_record(target, scheme_of(plan, target)) for target in others}
    linear = [target for target in others if not target.vocabulary]
    vocabulary = sum(records[target.name].size for target in others if target.vocabulary)
    tensors = vocabulary + _parameter_bytes(model, targets)
    tables = _rotary_bytes(checkpoint.config)
    paper = DOCUMENT_BYTES + len(targets) * (GRAPH_BYTES + MANIFEST_BYTES + PAGE)
    files = sum(path.stat().st_size for path in [*_libraries(recipe.targets), *_companions(checkpoint.directory)])
    products = [(t.rows, t.columns, records[t.name].scheme) for t in others if t.kind != "embedding" or t.tied]
    return Rest(
        linear_bytes=sum(records[target.name].size for target in linear),
        linear_weights=sum(target.rows * target.columns for target in linear),
        bundle_bytes=tensors + tables + paper + files,
        memory_bytes=tensors + tables + _cache_bytes(checkpoint.config, recipe.kv_cache) + RUNTIME_BYTES,
        products=tuple(products),
    )


def _libraries(targets: Sequence[str]) -> list[Path]:
    """The operator libraries that a bundle for some platforms holds; this machine's without any."""
    from edgeq.bundle.platforms import current_platform
    from edgeq_ops.platforms import library_for

    here = current_platform()
    return [library_for(target, here) for target in dict.fromkeys(targets or [here])]


def _companions(directory: Path) -> list[Path]:
    from edgeq_export.companions import companion_files

    return list(companion_files(directory).values())


def _parameter_bytes(model: Any, targets: Sequence[Target]) -> int:
    """Parameters that stay float32, page by page: norms, biases, positions."""
    matrices = {f"{name}.weight" for target in targets for name in target.names}
    sizes = [4 * parameter.numel() for name, parameter in model.named_parameters() if name not in matrices]
    return sum(size + (PAGE if size >= PAGE else 0) for size in sizes)


def _rotary_bytes(config: dict[str, Any]) -> int:
    """Cosines and sines of every position; twice where blocks attend in two ways."""
    if "rope_theta" not in config and "rope_parameters" not in config:
        return 0
    ways = 2 if config.get("layer_types") or config.get("sliding_window_pattern") else 1
    return ways * 4 * int(config.get("max_position_embeddings", 0)) * _head_size(config)


def _cache_bytes(config: dict[str, Any], scheme: str | None) -> int:
    """Keys and values of a whole context, float32 without a scheme; none of an encoder."""
    layers = config.get("num_hidden_layers", config.get("n_layer", 0))
    heads = config.get("num_key_value_heads") or config.get("num_attention_heads", config.get("n_head", 0))
    positions = config.get("max_position_embeddings", config.get("n_positions", 0))
    decoder = any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in config.get("architectures") or [])
    bits = 32 if scheme is None else parse_kv_cache(scheme)
    return 2 * bits * math.prod((int(layers), int(heads), int(positions), _head_size(config))) // 8 if decoder else 0


def _head_size(config: dict[str, Any]) -> int:
    width = int(config.get("hidden_size", config.get("n_embd", 0)))
    heads = int(config.get("num_attention_heads", config.get("n_head", 1)))
    return int(config.get("head_dim") or width // heads)
