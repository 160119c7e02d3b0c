# SPDX-License-Identifier: Apache-2.0
"""Bundles of many quantized forms of one model, where only one export per graph traces the model.

Two quantized models whose layers have the same schemes have the same graph; only their tensors differ. So the first of
them is exported, and the tensors of the others are written into copies of its bundle: the same bytes that exporting
them would give, without the seconds that tracing takes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

import edgeq_export
from edgeq.quantization.quantize import QuantizedModel


class BundleCache:
    """Bundles in a directory of their own, one per graph.

    Args:
        directory: Where they are made.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._templates: dict[object, Path] = {}

    def bundle(self, quantized: QuantizedModel) -> Path:
        """A bundle of this model, good until the next call; its hashes are not those in ``edgeq.json``."""
        output = self._directory / "bundle"
        graph = _graph_identity(quantized)
        template = self._templates.get(graph)
        if template is not None:
            shutil.rmtree(output, ignore_errors=True)
            shutil.copytree(template, output)
            if replace_tensors(output, quantized):
                return output
        new = self._directory / f"graph{len(self._templates)}"
        edgeq_export.export_bundle(quantized, new, force=True)
        self._templates[graph] = new
        return new


def replace_tensors(bundle: Path, quantized: QuantizedModel) -> bool:
    """Writes the tensors of a model into a bundle with its graph.

    Returns:
        Whether the graph holds a tensor of that name and size for each of them.
    """
    model = onnx.load(bundle / "model.onnx", load_external_data=False)
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [(_find(initializers, names), array) for names, array in _arrays(quantized)]
    if any(tensor is None or tuple(tensor.dims) != array.shape for tensor, array in pairs):
        return False
    with (bundle / "model.onnx.data").open("r+b") as data:
        for tensor, array in pairs:
            assert tensor is not None
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                places = {entry.key: entry.value for entry in tensor.external_data}
                data.seek(int(places["offset"]))
                data.write(array.tobytes())
            else:
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    onnx.save(model, bundle / "model.onnx")
    return True


def _find(initializers: dict[str, onnx.TensorProto], names: list[str]) -> onnx.TensorProto | None:
    return next((initializers[name] for name in names if name in initializers), None)


def _graph_identity(quantized: QuantizedModel) -> object:
    layers = tuple((record.name, record.scheme) for record in quantized.records)
    shapes = tuple((names[0], array.shape) for names, array in _arrays(quantized))
    cache = quantized.cache_scales and quantized.cache_scales.scheme
    return str(quantized.checkpoint.directory), layers, shapes, cache


def _arrays(quantized: QuantizedModel) -> list[tuple[list[str], NDArray[np.generic]]]:
    """The tensors of a model, shared ones once, with all their names, and the scales of its cache."""
    found: dict[int, tuple[list[str], NDArray[np.generic]]] = {}
    for name, tensor in quantized.model.state_dict().items():
        found.setdefault(tensor.data_ptr(), ([], tensor.numpy()))[0].append(name)
    arrays = list(found.values())
    if (scales := quantized.cache_scales) is not None:
        for part, layers in (("key", scales.keys), ("value", scales.values)):
            arrays += [([f"kv_cache.{layer}.{part}_scale"], array) for layer, array in enumerate(layers)]
    return arrays
