# SPDX-License-Identifier: Apache-2.0
"""Does a decoder graph have the tensors that its configuration names?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import onnxruntime as ort

from edgeq.bundle.genai_config import GENAI_CONFIG_NAME, GenaiConfig
from edgeq.errors import EdgeqError
from edgeq.runtime.kv_cache import cache_names, cache_width


def check_graph(session: ort.InferenceSession, config: GenaiConfig, bundle: Path) -> None:
    """Compares a graph with ``genai_config.json``.

    Raises:
        EdgeqError: A tensor is missing, not named, or has another shape.
    """
    file, names = bundle / GENAI_CONFIG_NAME, config.model.decoder
    inputs = {tensor.name: tensor for tensor in session.get_inputs()}
    outputs = {tensor.name: tensor for tensor in session.get_outputs()}
    caches = cache_names(names)
    wanted = [names.inputs.input_ids, names.inputs.attention_mask, *(past for past, _ in caches)]
    wanted += [names.inputs.position_ids] if names.inputs.position_ids else []
    _check_names(file, "model.decoder.inputs", wanted, list(inputs))
    presents = [present for _, present in caches]
    _check_names(file, "model.decoder.outputs", [names.outputs.logits, *presents], list(outputs))
    if extra := sorted(set(inputs) - set(wanted)):
        _fail(file, "model.decoder.inputs", f"a further input {extra[0]}", "every input of the graph to be named")
    for past, _ in caches:
        width = cache_width(names.head_size, inputs[past].type)
        _check_shape(file, past, inputs[past].shape, [1, names.num_key_value_heads, None, width])
    _check_shape(file, names.outputs.logits, outputs[names.outputs.logits].shape, [1, None, config.model.vocab_size])


def _check_names(file: Path, field: str, wanted: list[str], found: list[str]) -> None:
    for name in wanted:
        if name not in found:
            _fail(file, field, f"no {name} in the graph", "a tensor of the graph")


def _check_shape(file: Path, name: str, found: Sequence[int | str | None], wanted: Sequence[int | None]) -> None:
    pairs = zip(found, wanted, strict=False)
    if len(found) != len(wanted) or any(isinstance(have, int) and want not in (None, have) for have, want in pairs):
        _fail(file, name, f"shape {list(found)}", f"shape {list(wanted)}")


def _fail(file: Path, field: str, found: str, wanted: str) -> NoReturn:
    raise EdgeqError("graph and configuration disagree", file=file, field=field, found=found, wanted=wanted)
