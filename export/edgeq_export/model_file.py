# SPDX-License-Identifier: Apache-2.0
"""``model.onnx`` and ``model.onnx.data``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgeq.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from edgeq.progress import Progress

MODEL_NAME = "model.onnx"
DATA_NAME = "model.onnx.data"
PAGE = 4096  # bytes; what a memory map can address


def write_model(model: ir.Model, directory: Path, progress: Progress | None = None) -> None:
    """Writes ``model.onnx``, and every tensor of a page or more to ``model.onnx.data`` at a multiple of the page size.

    Equal tensors are stored once. Tensors go from where they lie to the file one at a time. The same model gives the
    same bytes.
    """
    _strip(model)
    _share_equal_tensors(model)

    def report(_tensor: ir.TensorProtocol, info: ir.external_data.CallbackInfo) -> None:
        if progress:
            progress("write", info.index + 1, info.total)

    ir.save(
        model,
        directory / MODEL_NAME,
        external_data=DATA_NAME,
        size_threshold_bytes=PAGE - 1,
        alignment=PAGE,
        align_threshold=0,
        callback=report,
    )


def _strip(model: ir.Model) -> None:
    """Removes what depends on the machine or the run: stack traces, paths, names of the exporting program's parts."""
    passes.ClearMetadataAndDocStringPass()(model)
    model.metadata_props.clear()
    model.doc_string = None
    model.producer_name, model.producer_version = "edgeq", __version__
    for graph in model.graphs():
        graph.metadata_props.clear()
        for value in [*graph.inputs, *graph.outputs, *graph.initializers.values()]:
            value.metadata_props.clear()
            value.doc_string = None


def _share_equal_tensors(model: ir.Model) -> None:
    for graph in model.graphs():
        first: dict[tuple[object, ...], ir.Value] = {}
        for name, value in list(graph.initializers.items()):
            if value.is_graph_input() or value.is_graph_output() or value.const_value is None:
                continue
            kept = first.setdefault(_identity(value.const_value), value)
            if kept is not value:
                value.replace_all_uses_with(kept)
                del graph.initializers[name]


def _identity(tensor: ir.TensorProtocol) -> tuple[object, ...]:
    if tensor.dtype == ir.DataType.STRING:
        return (id(tensor),)
    digest = hashlib.sha256(np.ascontiguousarray(tensor.numpy()).view(np.uint8).data).digest()
    return tensor.dtype, tuple(tensor.shape), digest
