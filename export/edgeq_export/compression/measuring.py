# SPDX-License-Identifier: Apache-2.0
"""How long a unit's products take for one token with its weights stored in each form, measured on this machine.

An operator that is run again and again would find its weights in the cache; so a graph of many copies of it, each with
weights of its own, is run as a whole, as large as the model itself or `WORKING_SET`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeq.formats.compression import compress
from edgeq.quantization.operators import DOMAIN
from edgeq.runtime.session import open_graph_file
from edgeq_export.compression.storing import Storage
from edgeq_export.compression.units import ATTRIBUTE, WEIGHTS_OF, Unit

WORKING_SET = 128 << 20  # bytes of packed weights that are multiplied by in turn
ROUNDS, SECONDS = 7, 0.05  # of each form; the shortest time of a round
INPUT = "x"

Signature = tuple[Any, ...]
Times = dict[str, float]


def signature(unit: Unit) -> Signature:
    """Equal for units whose products take the same time."""

    def attributes(node: ir.Node) -> list[tuple[str, str]]:
        return sorted((name, str(value.value)) for name, value in node.attributes.items() if name != ATTRIBUTE)

    return tuple((node.op_type, *attributes(node)) for node in unit.nodes)


def measure_units(
    units: Sequence[Unit], storages: Mapping[str, Storage], threads: int | None = None
) -> dict[Signature, Times]:
    """Seconds per token of every kind of unit in every form that it takes.

    Args:
        units: All units of a model.
        storages: The forms by name.
        threads: Threads of a session.

    Raises:
        EdgeqError: The operators cannot be run here.
    """
    total = sum(unit.raw_size for unit in units)
    times: dict[Signature, Times] = {}
    for unit in units:
        key = signature(unit)
        if key not in times:
            possible = {name: form for name, form in storages.items() if form.mode == "raw" or unit.takes(form.codec)}
            times[key] = _measure(unit, possible, min(total, WORKING_SET), threads)
    return times


def _measure(unit: Unit, storages: Mapping[str, Storage], working_set: int, threads: int | None) -> Times:
    """Forms take turns, so that a busy moment of the machine hits all of them; medians over the rounds."""
    products = [node for node in unit.nodes if node.op_type != "QuantGather"]
    if not products:
        return dict.fromkeys(storages, 0.0)
    copies = max(1, -(-working_set // unit.raw_size))
    width = products[0].attributes["K"].as_int()
    feeds = {INPUT: np.random.default_rng(0).standard_normal((1, width), np.float32)}
    with tempfile.TemporaryDirectory() as directory:
        runs = {}
        for name, storage in storages.items():
            path = Path(directory) / f"{name}.onnx"
            ir.save(_graph(unit, products, storage, copies), path, external_data=f"{name}.data")
            runs[name] = open_graph_file(path, threads)
        samples: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, session in runs.items():
                samples[name].append(_time(session, feeds))
        del runs
    return {name: statistics.median(values[1:]) / copies for name, values in samples.items()}


def _time(session: Any, feeds: Mapping[str, NDArray[np.float32]]) -> float:
    """Seconds of a run: the mean over at least `SECONDS`."""
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < SECONDS or not count:
        session.run(None, feeds)
        count += 1
    return elapsed / count


def _graph(unit: Unit, products: Sequence[ir.Node], storage: Storage, copies: int) -> ir.Model:
    width = products[0].attributes["K"].as_int()
    x = ir.val(INPUT, dtype=ir.DataType.FLOAT, shape=ir.Shape([1, width]))
    data = {weight.name: _bytes(unit, index, storage) for index, weight in enumerate(unit.weights)}
    nodes: list[ir.Node] = []
    weights: list[ir.Value] = []
    for copy in range(copies):
        own = {name: _initializer(f"{name}.{copy}", array) for name, array in data.items()}
        weights += own.values()
        nodes += [_product(node, x, own, storage, f"{index}.{copy}") for index, node in enumerate(products)]
    outputs = [value for node in nodes for value in node.outputs]
    graph = ir.Graph([x], outputs, nodes=nodes, initializers=weights, opset_imports={"": 21, DOMAIN: 1}, name="units")
    return ir.Model(graph, ir_version=10)


def _bytes(unit: Unit, index: int, storage: Storage) -> NDArray[np.uint8]:
    weight = unit.weights[index]
    packed = weight.packed()
    if storage.mode == "raw":
        return packed
    return compress(packed, weight.fmt, weight.rows, weight.columns, storage.codec)


def _initializer(name: str, data: NDArray[np.uint8]) -> ir.Value:
    return ir.val(name, const_value=ir.tensor(data, name=name))


def _product(node: ir.Node, x: ir.Value, own: Mapping[str, ir.Value], storage: Storage, name: str) -> ir.Node:
    """The node without biases, on weights of its own."""
    attributes = {key: value.value for key, value in node.attributes.items() if key != ATTRIBUTE}
    if storage.mode != "raw":
        attributes[ATTRIBUTE] = storage.mode
    inputs = list(_inputs(node, x, own))
    rows = [node.attributes[f"N{index or ''}"].as_int() for index in range(len(node.outputs))]
    copy = ir.node(
        node.op_type, inputs, attributes, domain=DOMAIN, num_outputs=len(rows), version=node.version, name=name
    )
    for index, (output, width) in enumerate(zip(copy.outputs, rows, strict=True)):
        output.name, output.dtype, output.shape = f"y{index}.{name}", ir.DataType.FLOAT, ir.Shape([1, width])
        output.type = ir.TensorType(ir.DataType.FLOAT)
    return copy


def _inputs(node: ir.Node, x: ir.Value, own: Mapping[str, ir.Value]) -> Iterator[ir.Value | None]:
    for place, value in enumerate(node.inputs):
        if place == 0:
            yield x
        else:
            yield own[str(value.name)] if value is not None and place in WEIGHTS_OF[node.op_type] else None
