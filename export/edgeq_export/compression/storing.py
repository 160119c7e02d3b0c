# SPDX-License-Identifier: Apache-2.0
"""Puts units of weights into the form chosen for them, and says so in the graph and in the layers' records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeq.bundle.manifest import CompressionRecord, LayerRecord
from edgeq.compression.entropy import code_entropy
from edgeq.errors import EdgeqError
from edgeq.formats.compression import CODECS, compress
from edgeq.progress import Progress
from edgeq_export.compression.units import ATTRIBUTE, Unit, Weight, find_units

Mode = Literal["raw", "load", "use"]


@dataclass(frozen=True)
class Storage:
    """How a unit is stored.

    Attributes:
        mode: ``raw``, or when its bytes are decoded: ``load`` or ``use``.
        codec: ``rans`` or ``nibble``; empty for ``raw``.
    """

    mode: Mode = "raw"
    codec: str = ""

    @classmethod
    def parse(cls, text: str) -> Storage:
        """Reads ``load``, ``use``, or one of them with a codec, such as ``use:nibble``.

        Raises:
            EdgeqError: It is none of these.
        """
        mode, _, codec = text.partition(":")
        codec = codec or "rans"
        if mode not in ("load", "use") or codec not in CODECS:
            raise EdgeqError("unknown compression", found=repr(text), wanted="load or use, or with a codec: use:nibble")
        return cls("use" if mode == "use" else "load", codec)


Records = dict[str, CompressionRecord | None]


def compress_graph(
    model: ir.Model, layers: Iterable[LayerRecord], storage: Storage, progress: Progress | None = None
) -> list[LayerRecord]:
    """Stores all weights of a graph that the codec takes and makes smaller in one form; returns the layers' records.

    Args:
        model: The graph, changed in place.
        layers: Records of its layers.
        storage: The form.
        progress: Told the stage ``compress``.

    Raises:
        EdgeqError: The codec takes none of the weights.
    """
    units = find_units(model)
    storages = store_alike(units, storage)
    return update_layers(layers, units, store(units, storages, progress))


def store_alike(units: Sequence[Unit], storage: Storage) -> dict[str, Storage]:
    """One form for all units that its codec takes.

    Raises:
        EdgeqError: It takes none of them.
    """
    chosen = {unit.name: storage for unit in units if unit.takes(storage.codec)}
    if not chosen:
        formats = sorted({f"{weight.fmt.name} of {weight.fmt.bits} bits" for unit in units for weight in unit.weights})
        raise EdgeqError(
            f'codec "{storage.codec}" takes none of the weights',
            field="compression",
            found=", ".join(formats) or "no packed weights",
            wanted="uniform weights of 8 bits; rans also takes 4",
        )
    return chosen


def store(units: Sequence[Unit], storages: Mapping[str, Storage], progress: Progress | None = None) -> Records:
    """Stores units as chosen, in place.

    Args:
        units: All units of a graph.
        storages: By the unit's name; units without one are stored raw, and so are those that would not be smaller.
        progress: Told the stage ``compress``.

    Returns:
        What to record of each weight, by the name of its initializer.

    Raises:
        EdgeqError: A codec does not take a format, or the bytes of a weight are damaged.
    """
    records: Records = {}
    for step, unit in enumerate(units):
        if progress:
            progress("compress", step, len(units))
        records |= _store(unit, storages.get(unit.name, Storage()))
    if progress:
        progress("compress", len(units), len(units))
    return records


def update_layers(layers: Iterable[LayerRecord], units: Sequence[Unit], records: Records) -> list[LayerRecord]:
    """The layers' records with what is stored now."""
    weights = {weight.name: weight for unit in units for weight in unit.weights}
    owners = {_layer_of(weight.name): weight.name for weight in weights.values()}
    tied = {
        (weight.rows, weight.columns): weight.name
        for unit in units
        for weight in unit.weights
        if any(node.op_type == "QuantGather" for node in unit.nodes)
    }
    updated = []
    for layer in layers:
        name = owners.get(layer.name)
        if name is None and any("QuantGather" in operator for operator in layer.operators):
            name = tied.get((layer.rows, layer.columns))
        updated.append(layer if name is None else _updated(layer, weights[name], records[name]))
    return updated


def _updated(layer: LayerRecord, weight: Weight, record: CompressionRecord | None) -> LayerRecord:
    tensor = weight.value.const_value
    assert tensor is not None
    size = tensor.nbytes + sum(correction.size for correction in layer.corrections)
    return layer.model_copy(update={"size": size, "compression": record})


def _layer_of(name: str) -> str:
    return name.removesuffix(".weight.data")


def _store(unit: Unit, storage: Storage) -> Records:
    if storage.mode == "raw" or (records := _compress(unit, storage)) is None:
        storage, records = Storage(), _restore(unit)
    for node in unit.nodes:
        _mark(node, storage.mode)
    return records


def _restore(unit: Unit) -> Records:
    for weight in unit.weights:
        if weight.mode:
            _replace(weight, weight.packed())
    return {weight.name: None for weight in unit.weights}


def _compress(unit: Unit, storage: Storage) -> Records | None:
    """The records of a unit in another form; none, and nothing changed, where that takes as many bytes or more."""
    coded = [_coded(weight, storage) for weight in unit.weights]
    if sum(data.size for data, _ in coded) >= unit.raw_size:
        return None
    for weight, (data, _) in zip(unit.weights, coded, strict=True):
        if weight.codec() != storage.codec:
            _replace(weight, data)
    return {weight.name: record for weight, (_, record) in zip(unit.weights, coded, strict=True)}


def _coded(weight: Weight, storage: Storage) -> tuple[NDArray[np.uint8], CompressionRecord]:
    packed = weight.packed()
    same = weight.codec() == storage.codec
    data = weight.stored() if same else compress(packed, weight.fmt, weight.rows, weight.columns, storage.codec)
    return data, CompressionRecord(
        codec="rans" if storage.codec == "rans" else "nibble",
        mode="use" if storage.mode == "use" else "load",
        raw_size=packed.size,
        entropy=code_entropy(weight.fmt, packed, weight.rows, weight.columns),
    )


def _replace(weight: Weight, data: NDArray[np.uint8]) -> None:
    value = weight.value
    value.const_value = ir.tensor(data, name=weight.name)
    value.shape = ir.Shape([data.size])


def _mark(node: ir.Node, mode: Mode) -> None:
    node.attributes.pop(ATTRIBUTE, None)
    if mode != "raw":
        node.attributes.add(ir.AttrString(ATTRIBUTE, mode))
