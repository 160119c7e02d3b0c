# SPDX-License-Identifier: Apache-2.0
"""Bundles of one model under many allocations, where only the first export traces the model.

Allocations whose layers with the same input have the same scheme have graphs that differ in the attribute ``bits`` and
in the tensors alone. So the first one is exported, and the others are written from its graph.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from evidence.bundles import _arrays, _find
from numpy.typing import NDArray

import edgeq_export
from edgeq.quantization.quantize import QuantizedModel
from edgeq.schemes import Scheme

PAGE = 4096
MODEL, DATA, MANIFEST = "model.onnx", "model.onnx.data", "edgeq.json"


class MixedBundles:
    """Bundles in a directory of their own.

    Args:
        directory: Where they are made.
    """

    def __init__(self, directory: Path) -> None:
        self._directory, self._template = directory, directory / "template"

    def bundle(self, quantized: QuantizedModel) -> Path:
        """A bundle of this model, good until the next call; its hashes are not those in ``edgeq.json``."""
        if _splits_inputs(quantized):
            edgeq_export.export_bundle(quantized, self._directory / "split", force=True)
            return self._directory / "split"
        if not self._template.exists():
            edgeq_export.export_bundle(quantized, self._template)
            return self._template
        output = self._directory / "bundle"
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(self._template, output, ignore=shutil.ignore_patterns(DATA))
        write_allocation(output, quantized)
        return output


def _splits_inputs(quantized: QuantizedModel) -> bool:
    """Whether q, k and v, or gate and up, have different schemes in some block, so that the graph is another one."""
    schemes: dict[tuple[str, str], set[str]] = {}
    for record in quantized.records:
        block, _, name = record.name.rpartition(".")
        kind = "qkv" if name in ("q_proj", "k_proj", "v_proj") else "up" if name in ("gate_proj", "up_proj") else name
        schemes.setdefault((block, kind), set()).add(record.scheme)
    return any(len(found) > 1 for found in schemes.values())


def write_allocation(bundle: Path, quantized: QuantizedModel) -> None:
    """Gives a bundle's graph the bits and the tensors of a model."""
    model = onnx.load(bundle / MODEL, load_external_data=False)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = {record.name: record.scheme for record in quantized.records}
    schemes: dict[str, str] = {}
    with (bundle / DATA).open("wb") as data:
        for names, array in _arrays(quantized):
            tensor = _find(tensors, names)
            assert tensor is not None, names
            schemes[tensor.name] = next((layers[n] for n in map(_layer, names) if n in layers), "")
            _store(tensor, array, data)
    _set_bits(model, schemes)
    onnx.save(model, bundle / MODEL)
    manifest = json.loads((bundle / MANIFEST).read_text())
    for name in (MODEL, DATA):
        manifest["files"][name]["size"] = (bundle / name).stat().st_size
    (bundle / MANIFEST).write_text(json.dumps(manifest))


def _layer(tensor: str) -> str:
    return tensor.removesuffix(".weight.data")


def _store(tensor: onnx.TensorProto, array: NDArray[np.generic], data: object) -> None:
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
        return
    data.write(bytes(-data.tell() % PAGE))  # type: ignore[attr-defined]
    places = {"location": DATA, "offset": data.tell(), "length": array.nbytes}  # type: ignore[attr-defined]
    data.write(array.tobytes())  # type: ignore[attr-defined]
    del tensor.external_data[:]
    for key, value in places.items():
        tensor.external_data.add(key=key, value=str(value))
    tensor.dims[:] = array.shape


def _set_bits(model: onnx.ModelProto, schemes: dict[str, str]) -> None:
    for node in model.graph.node:
        chosen = {schemes[name] for name in node.input if schemes.get(name)}
        if node.domain != "com.edgeq" or not chosen:
            continue
        (scheme,) = chosen
        fmt = Scheme.parse(scheme).weights
        assert fmt is not None
        next(attribute for attribute in node.attribute if attribute.name == "bits").i = fmt.bits
