# SPDX-License-Identifier: Apache-2.0
"""A bundle of nothing but matrix products with random weights, for timing them on a board one by one.

It is an encoder bundle, so that whatever measures encoders can measure it: a table of random vectors stands in for the
model before each product.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgeq.allocation.shapes import Product
from edgeq.bundle.manifest import MANIFEST_NAME, FileRecord, Manifest, OperatorLibrary, Source
from edgeq.bundle.platforms import current_platform, library_location
from edgeq.errors import EdgeqError
from edgeq.formats import Format
from edgeq.methods import rtn
from edgeq.quantization.operators import DOMAIN, VERSION, matmul_operator
from edgeq.schemes import Scheme
from edgeq.version import __version__

MODEL_NAME, DATA_NAME = "model.onnx", "model.onnx.data"
VOCABULARY, PAGE = 64, 4096
SLAB = 64  # rows whose packed bytes are repeated; a packed matrix is a stream of tiles of rows
MAX_COPIES, ENOUGH_BYTES = 16, 64_000_000
"""So many copies of every product are run in turn, or so many bytes of weights, that they come from memory as in the
model that they stand for; fewer where the model itself fits in the cache."""

Array = NDArray[np.generic]


def write_layer_bundle(directory: Path, products: Sequence[Product], model_bytes: int, library: Path) -> dict[str, int]:
    """Writes the bundle.

    Args:
        directory: Where; made here.
        products: What to time.
        model_bytes: Of the weights of the model that they come from.
        library: This platform's operators.

    Returns:
        Copies of each product by `node_name`, run one after the other under names that end in ``.0``, ``.1``, ….

    Raises:
        EdgeqError: A scheme has no operator, or one that cannot be timed so.
    """
    directory.mkdir(parents=True)
    once = sum(_bytes(product, scheme) for product in products for scheme in product.schemes)
    copies = max(1, min(MAX_COPIES, min(model_bytes, ENOUGH_BYTES) // once))
    with (directory / DATA_NAME).open("wb") as data:
        graph = _Graph(data, copies)
        for product in products:
            graph.add(product)
    (directory / MODEL_NAME).write_bytes(graph.model().SerializeToString())
    for name, document in _documents().items():
        (directory / name).write_text(json.dumps(document), encoding="utf-8")
    location = library_location(current_platform())
    (directory / location).parent.mkdir(parents=True)
    (directory / location).write_bytes(library.read_bytes())
    _write_manifest(directory, location)
    return {node_name(product, scheme): copies for product in products for scheme in product.schemes}


def node_name(product: Product, scheme: Scheme) -> str:
    """Of the node of a product."""
    return f"{'+'.join(map(str, product.rows))}x{product.columns} {scheme}"


def _bytes(product: Product, scheme: Scheme) -> int:
    fmt = _format(scheme)
    return sum(fmt.packed_size(rows, product.columns) for rows in product.rows)


def _format(scheme: Scheme) -> Format:
    if scheme.weights is None or scheme.activation_mode in ("static", "token-asym"):
        raise EdgeqError(
            "cannot be timed", field="--candidates", found=str(scheme), wanted="a8, a8t, a16, a32, or no a…"
        )
    return scheme.weights


class _Graph:
    """The graph as it grows; weights go to the file at once.

    Args:
        data: The file of the weights.
        copies: Of every product.
    """

    def __init__(self, data: IO[bytes], copies: int) -> None:
        self._data, self._copies = data, copies
        self._nodes: list[onnx.NodeProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._tensors: dict[str, TensorProto] = {}

    def add(self, product: Product) -> None:
        """Adds all copies of a product under all its schemes."""
        source = self._input(product.columns)
        for scheme in product.schemes:
            for copy in range(self._copies):
                self._add_node(source, product, scheme, f"{node_name(product, scheme)}.{copy}")

    def model(self) -> onnx.ModelProto:
        """The model; tensors lie in the file beside it."""
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])
        graph = helper.make_graph(self._nodes, "products", [ids], self._outputs, list(self._tensors.values()))
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(DOMAIN, VERSION)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def _input(self, columns: int) -> str:
        name = f"x{columns}"
        if f"{name}.table" not in self._tensors:
            table = np.random.default_rng(0).standard_normal((VOCABULARY, columns), np.float32)
            self._store(f"{name}.table", table)
            self._nodes.append(helper.make_node("Gather", [f"{name}.table", "input_ids"], [name], name=name))
        return name

    def _add_node(self, source: str, product: Product, scheme: Scheme, name: str) -> None:
        fmt = _format(scheme)
        inputs, outputs = [source], []
        for index, rows in enumerate(product.rows):
            weight = f"{name}.w{index}"
            self._store(weight, _packed(fmt, rows, product.columns, seed=len(self._tensors)))
            inputs += [weight, ""]  # no bias
            outputs.append(f"{name}.y{index}")
            self._outputs.append(helper.make_tensor_value_info(outputs[-1], TensorProto.FLOAT, [1, "tokens", rows]))
        operator, attributes = matmul_operator(
            fmt, product.rows[0], product.columns, scheme.activation_bits, scheme.activation_mode
        )
        attributes |= {f"N{index}": rows for index, rows in enumerate(product.rows) if index}
        while not inputs[-1]:
            inputs.pop()
        self._nodes.append(
            helper.make_node(operator, inputs, outputs, name=name, domain=DOMAIN, **cast("dict[str, Any]", attributes))
        )

    def _store(self, name: str, array: Array) -> None:
        data = self._data
        data.write(bytes(-data.tell() % PAGE))
        places = {"location": DATA_NAME, "offset": data.tell(), "length": array.nbytes}
        data.write(array.tobytes())
        tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in places.items():
            tensor.external_data.add(key=key, value=str(value))
        self._tensors[name] = tensor


def _packed(fmt: Format, rows: int, columns: int, seed: int) -> NDArray[np.uint8]:
    """Packed random weights: a slab of rows over and over."""
    generator = torch.Generator().manual_seed(seed)
    slab = torch.randn(min(rows, SLAB), columns, generator=generator) * columns**-0.5
    packed = fmt.pack(rtn.quantize(slab, fmt, clip="minmax"))  # type: ignore[arg-type]  # the format's own tensor
    size = fmt.packed_size(rows, columns)
    return np.resize(packed, size)


def _documents() -> dict[str, object]:
    vocabulary = {str(number): number for number in range(VOCABULARY)}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "0"}
    return {
        "tokenizer.json": {"version": "1.0", "added_tokens": [], "model": model},
        "config.json": {"max_position_embeddings": 1 << 16, "vocab_size": VOCABULARY},
    }


def _write_manifest(directory: Path, library: str) -> None:
    names = [MODEL_NAME, DATA_NAME, *_documents(), library]
    manifest = Manifest(
        edgeq_version=__version__,
        kind="encoder",
        scheme="mixed",
        method="rtn",
        model=MODEL_NAME,
        source=Source(name="products", architecture="products", parameters=0, fingerprint=""),
        operators=OperatorLibrary(libraries={library.split("/")[1]: library}),
        layers=[],
        files={name: _record(directory / name) for name in names},
        versions={},
    )
    (directory / MANIFEST_NAME).write_text(manifest.model_dump_json(), encoding="utf-8")


def _record(path: Path) -> FileRecord:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(size=path.stat().st_size, sha256=digest)


def names_of(products: Sequence[Product]) -> Iterator[tuple[Product, Scheme, str]]:
    """Every product under every scheme, with the name of its node."""
    for product in products:
        for scheme in product.schemes:
            yield product, scheme, node_name(product, scheme)
