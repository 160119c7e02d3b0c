# SPDX-License-Identifier: Apache-2.0
"""A bundle made by hand: a tied embedding and head, one operator with two weights, one in int4, one in a codebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir

from edgeq.bundle.manifest import LayerRecord, Manifest, Source
from edgeq.formats import CodebookFormat, Format, UniformFormat, UniformTensor
from edgeq.quantization.operators import DOMAIN, gather_operator, matmul_operator
from edgeq_export.bundle_writer import BundleContents, write_bundle

WIDTH, INNER, VOCABULARY = 96, 192, 200
INT8, INT4, LEVELS = UniformFormat(8), UniformFormat(4, 32), CodebookFormat(3, 32)


def packed(fmt: Format, rows: int, columns: int, seed: int, deviation: float = 2.5) -> np.ndarray:
    """Random weights; codes of int8 are narrow, as coarse steps make them, unless they are to deviate more."""
    random = np.random.default_rng(seed)
    if not isinstance(fmt, UniformFormat):
        return random.integers(0, 60, fmt.packed_size(rows, columns), np.uint8)
    half = 2 ** (fmt.bits - 1)
    codes = np.clip(np.round(random.standard_normal((rows, columns)) * deviation), -half, half - 1) + half
    scales = np.full((rows, -(-columns // (fmt.group_size or columns))), 0.01, np.float16)
    return fmt.pack(UniformTensor(codes.astype(np.uint8), scales))


def write_graph(directory: Path, deviation: float = 2.5) -> Manifest:
    """Writes the bundle: token ids to logits; ``deviation`` is that of the uniform codes."""
    weights = {
        "head": (INT8, VOCABULARY, WIDTH),
        "up": (INT8, INNER, WIDTH),
        "gate": (INT8, 33, WIDTH),
        "small": (INT4, WIDTH, INNER),
        "odd": (LEVELS, WIDTH, WIDTH),
    }
    values = {
        name: _constant(f"{name}.weight.data", packed(fmt, rows, columns, seed, deviation))
        for seed, (name, (fmt, rows, columns)) in enumerate(weights.items())
    }
    ids = ir.val("ids", dtype=ir.DataType.INT64, shape=ir.Shape([1, "tokens"]))
    gather = _node(*gather_operator(INT8, VOCABULARY, WIDTH), [ids, values["head"]], 1)
    fused, attributes = matmul_operator(INT8, INNER, WIDTH, None)
    both = _node(fused, attributes | {"N1": 33}, [gather.outputs[0], values["up"], None, values["gate"], None], 2)
    small = _node(*matmul_operator(INT4, WIDTH, INNER, None), [both.outputs[0], values["small"]], 1)
    odd = _node(*matmul_operator(LEVELS, WIDTH, WIDTH, None), [small.outputs[0], values["odd"]], 1)
    head = _node(*matmul_operator(INT8, VOCABULARY, WIDTH, None), [odd.outputs[0], values["head"]], 1)
    outputs = [head.outputs[0], both.outputs[1]]
    for output, width in zip(outputs, (VOCABULARY, 33), strict=True):
        output.shape = ir.Shape([1, "tokens", width])
    nodes = [gather, both, small, odd, head]
    graph = ir.Graph(
        [ids], outputs, nodes=nodes, initializers=list(values.values()), opset_imports={"": 21, DOMAIN: 1}, name="main"
    )
    layers = [_record(name, *weight) for name, weight in weights.items() if name != "head"]
    layers.insert(0, _record("embed", *weights["head"]).model_copy(update={"operators": ["QuantGather", "DintGemm"]}))
    contents = BundleContents(
        kind="graph",
        model=ir.Model(graph, ir_version=10),
        scheme="w8",
        method="rtn",
        source=Source(name="by hand", architecture="None", parameters=0, fingerprint="0"),
        layers=layers,
        documents={"notes/readme.txt": b"kept"},
    )
    return write_bundle(contents, directory)


def _record(name: str, fmt: Format, rows: int, columns: int) -> LayerRecord:
    size = fmt.packed_size(rows, columns)
    scheme = f"w{fmt.bits}{fmt.scheme_suffix}"
    return LayerRecord(name=name, operators=["DintGemm"], scheme=scheme, rows=rows, columns=columns, size=size)


def _constant(name: str, data: np.ndarray) -> ir.Value:
    return ir.val(name, const_value=ir.tensor(data, name=name))


def _node(operator: str, attributes: object, inputs: list[ir.Value | None], outputs: int) -> ir.Node:
    node = ir.node(operator, inputs, attributes, domain=DOMAIN, num_outputs=outputs, version=1)  # type: ignore[arg-type]
    for output in node.outputs:
        output.dtype = ir.DataType.FLOAT
    return node
