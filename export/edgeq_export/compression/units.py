# SPDX-License-Identifier: Apache-2.0
"""Packed weights of a graph, in units that can only be stored alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.formats import FORMATS, Format
from edgeq.formats.compression import check_format, decompress, read_header
from edgeq.quantization.operators import DOMAIN

ATTRIBUTE = "weight_compression"
STORED_MODES = ("", "load", "use")
WEIGHTS_OF = {"DintGemm": (1, 3, 5), "LutGemm": (1, 3, 5), "QuantGather": (1,)}  # inputs that are packed weights


@dataclass(frozen=True)
class Weight:
    """A packed matrix.

    Attributes:
        value: Its initializer.
        fmt: Its number format.
        rows: Output features or vocabulary.
        columns: Input features or width.
        mode: What its nodes say of its bytes: empty (as they are), ``load`` or ``use``.
    """

    value: ir.Value
    fmt: Format
    rows: int
    columns: int
    mode: str = ""

    @property
    def name(self) -> str:
        """Name of the initializer."""
        return str(self.value.name)

    @property
    def raw_size(self) -> int:
        """Bytes of the packed matrix."""
        return self.fmt.packed_size(self.rows, self.columns)

    def stored(self) -> NDArray[np.uint8]:
        """The bytes of the initializer.

        Raises:
            EdgeqError: It is not constant, or not bytes in one dimension.
        """
        tensor = self.value.const_value
        if tensor is None or tensor.dtype != ir.DataType.UINT8 or len(tensor.shape) != 1:
            raise EdgeqError("packed weight is not a constant of bytes", field=self.name)
        return np.asarray(tensor.numpy(), np.uint8)

    def packed(self) -> NDArray[np.uint8]:
        """The packed matrix, decoded where it is stored compressed.

        Raises:
            EdgeqError: Its bytes are damaged or of another shape.
        """
        data = self.stored()
        try:
            data = decompress(data, self.fmt, self.rows, self.columns) if self.mode else data
        except EdgeqError as error:
            raise EdgeqError(
                error.problem, field=self.name, found=error.found, wanted=error.wanted, remedy=error.remedy
            ) from error
        if data.size != self.raw_size:
            raise EdgeqError("wrong size", field=self.name, found=data.size, wanted=self.raw_size)
        return data

    def codec(self) -> str:
        """The codec of its bytes; empty where they are not compressed."""
        return read_header(self.stored()).codec if self.mode else ""


@dataclass(frozen=True)
class Unit:
    """Nodes with a weight in common, and all their weights.

    Attributes:
        nodes: The nodes, in the order of the graph.
        weights: The weights that they read, each once.
    """

    nodes: tuple[ir.Node, ...]
    weights: tuple[Weight, ...]

    @cached_property
    def name(self) -> str:
        """The first weight's name."""
        return self.weights[0].name

    @property
    def raw_size(self) -> int:
        """Bytes of its packed matrices."""
        return sum(weight.raw_size for weight in self.weights)

    def takes(self, codec: str) -> bool:
        """Whether a codec takes the format of every weight."""
        try:
            for weight in self.weights:
                check_format(weight.fmt, codec)
        except EdgeqError:
            return False
        return True


def find_units(model: ir.Model) -> list[Unit]:
    """The units of a graph, in the order of their first nodes.

    Raises:
        EdgeqError: A node of edgeq's has an unknown format or mode.
    """
    nodes: dict[str, list[ir.Node]] = {}
    weights: dict[str, dict[str, Weight]] = {}
    unit_of: dict[str, str] = {}
    for node in model.graph.all_nodes():
        if node.domain != DOMAIN or node.op_type not in WEIGHTS_OF:
            continue
        own = {weight.name: weight for weight in _weights(node)}
        known = list(dict.fromkeys(unit_of[name] for name in own if name in unit_of))
        home = known[0] if known else next(iter(own))
        nodes.setdefault(home, [])
        weights.setdefault(home, {}).update(own)
        for other in known[1:]:
            nodes[home] += nodes.pop(other)
            weights[home] |= weights.pop(other)
        nodes[home].append(node)
        unit_of |= dict.fromkeys(weights[home], home)
    return [Unit(tuple(members), tuple(weights[home].values())) for home, members in nodes.items()]


def _weights(node: ir.Node) -> Iterator[Weight]:
    attributes = node.attributes
    fmt, columns = _format(node), attributes["K"].as_int()
    mode = attributes[ATTRIBUTE].as_string() if ATTRIBUTE in attributes else ""
    if mode not in STORED_MODES:
        raise EdgeqError("unknown mode", field=f"{node.name}: {ATTRIBUTE}", found=repr(mode), wanted="load or use")
    for number, place in enumerate(WEIGHTS_OF[node.op_type]):
        value = node.inputs[place] if place < len(node.inputs) else None
        if value is not None:
            yield Weight(value, fmt, attributes[f"N{number or ''}"].as_int(), columns, mode)


def _format(node: ir.Node) -> Format:
    attributes = node.attributes
    name = attributes["format"].as_string() if "format" in attributes else "bcq"
    if name not in FORMATS:
        raise EdgeqError("unknown format", field=node.name, found=name, wanted=" or ".join(FORMATS))
    zeros = "has_zero_point" in attributes and attributes["has_zero_point"].as_int()
    symmetry = ("asym" if zeros else "sym") if name.startswith(("uniform", "dint")) else None
    return FORMATS[name](attributes["bits"].as_int(), attributes["group_size"].as_int(), symmetry)
