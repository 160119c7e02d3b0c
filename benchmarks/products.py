# SPDX-License-Identifier: Apache-2.0
"""Chains of matrix products as ONNX models: edgeq's operators, MatMulNBits and float32 MatMul on random weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

import edgeq_ops
from edgeq.formats import BcqFormat, BcqTensor, Format
from edgeq.methods import rtn
from edgeq.quantization.operators import ROW_SUMS_INPUT, matmul_operator, row_sums
from edgeq.schemes import Scheme

Array = NDArray[np.generic]
SLAB = 64  # rows whose packed bytes are repeated: two tiles, or one
ALIGNMENT = 4096
STATIC_SCALE = 4 / 127  # of activations of unit variance


@dataclass(frozen=True)
class Case:
    """One operator with one kind of weights.

    Attributes:
        operator: ``edgeq``, ``MatMulNBits`` or ``MatMul``.
        scheme: A scheme string; of MatMulNBits, the uniform scheme of the same bits and block size.
        lookup: Ask ONNX Runtime for its own lookup kernels (2 bits).
    """

    operator: str
    scheme: str
    lookup: bool = False

    @property
    def name(self) -> str:
        """As the tables call it."""
        if self.operator == "edgeq":
            return f"edgeq {self.scheme}"
        return self.operator + (f" {self.scheme}" if self.scheme != "fp32" else "") + (" lookup" if self.lookup else "")

    @property
    def format(self) -> Format | None:
        """Of the weights."""
        return Scheme.parse(self.scheme).weights

    @property
    def float_activations(self) -> bool:
        """Whether activations stay float32."""
        return self.operator == "MatMul" or Scheme.parse(self.scheme).activation_bits == 32

    def weight_bytes(self, rows: int, columns: int) -> int:
        """Bytes of one weight matrix with its scales."""
        fmt = self.format
        if fmt is None:
            return 4 * rows * columns
        if self.operator == "edgeq":
            return fmt.packed_size(rows, columns)
        return rows * columns * fmt.bits // 8 + 4 * rows * columns // fmt.group_size


def weights_of(case: Case, rows: int, columns: int, layer: int) -> list[Array]:
    """Initializers of one layer ``[rows, columns]`` of about unit gain.

    ONNX Runtime keeps one copy of packed weights that are equal, so that its layers must differ.
    """
    rng, fmt = np.random.default_rng(layer), case.format
    if fmt is None:
        return [rng.standard_normal((columns, rows), np.float32) * np.float32(columns**-0.5)]
    if case.operator == "edgeq":
        packed = np.tile(_packed_slab(fmt, columns), rows // SLAB)
        assert packed.size == fmt.packed_size(rows, columns), (case, rows, columns)
        asymmetric = Scheme.parse(case.scheme).activation_mode == "token-asym"
        return [packed, row_sums(fmt, packed, rows, columns)] if asymmetric else [packed]
    blocks = columns // fmt.group_size
    codes = rng.integers(0, 256, (rows, blocks, fmt.group_size * fmt.bits // 8), dtype=np.uint8)
    return [codes, np.full(rows * blocks, 1 / (columns**0.5 * 2 ** (fmt.bits - 1)), np.float32)]


@cache
def _packed_slab(fmt: Format, columns: int) -> NDArray[np.uint8]:
    """Packed rows; a packed tensor is a stream of tiles of rows, so repeating them gives one of more rows."""
    rng = np.random.default_rng(0)
    if isinstance(fmt, BcqFormat):  # rounding would make its coefficients powers of two
        groups = -(-columns // (fmt.group_size or columns))
        shape = (SLAB, groups, fmt.bits)
        coefficients = (rng.uniform(0.5, 1.5, shape) * columns**-0.5 / fmt.bits).astype(np.float16)
        codes = rng.integers(0, 2**fmt.bits, (SLAB, columns), dtype=np.uint8)
        return fmt.pack(BcqTensor(codes, coefficients, np.zeros(shape[:2], np.float16)))
    weight = torch.from_numpy(rng.standard_normal((SLAB, columns), np.float32) * np.float32(columns**-0.5))
    return fmt.pack(rtn.quantize(weight, fmt, clip="minmax"))  # type: ignore[arg-type]


def node_of(case: Case, rows: int, columns: int, ends: tuple[str, str], names: list[str]) -> onnx.NodeProto:
    """The node of one layer from ``ends[0]`` to ``ends[1]``."""
    scheme, attributes = Scheme.parse(case.scheme), dict[str, Any]()
    operator, domain = case.operator, ""
    if operator == "edgeq":
        assert scheme.weights is not None
        mode = scheme.activation_mode
        operator, attributes = matmul_operator(scheme.weights, rows, columns, scheme.activation_bits, mode)
        domain = "com.edgeq"
        if mode == "static":
            attributes["activation_scale"] = STATIC_SCALE
        names = names[:1] + [""] * (ROW_SUMS_INPUT - 2) + names[1:] if mode == "token-asym" else names
    elif scheme.weights is not None:
        attributes = {"K": columns, "N": rows, "bits": scheme.weights.bits, "block_size": scheme.weights.group_size}
        attributes["accuracy_level"], domain = 1 if case.float_activations else 4, "com.microsoft"
    return helper.make_node(operator, [ends[0], *names], [ends[1]], domain=domain, **attributes)


def write_chain(path: Path, case: Case, shape: tuple[int, int], layers: int) -> None:
    """Writes ``layers`` layers K -> N and N -> K in turn with weights of their own, page-aligned in a file beside.

    Args:
        path: The model.
        case: Which operator.
        shape: K and N.
        layers: How many, an even number or 1.
    """
    nodes, initializers = [], []
    with Path(f"{path}.data").open("wb") as file:
        for index in range(layers):
            columns, rows = shape if index % 2 == 0 else shape[::-1]
            names = []
            for part, array in enumerate(weights_of(case, rows, columns, index)):
                names.append(f"w{index}.{part}")
                initializers.append(_external(file, array, names[-1], f"{path.name}.data"))
            nodes.append(node_of(case, rows, columns, (f"h{index}", f"h{index + 1}"), names))
    widths = shape[0], shape[layers % 2]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["tokens", width])
        for name, width in zip(("h0", f"h{layers}"), widths, strict=True)
    ]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], initializers)
    opsets = [
        helper.make_opsetid(name, version) for name, version in (("", 20), ("com.edgeq", 1), ("com.microsoft", 1))
    ]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def _external(file: Any, array: Array, name: str, location: str) -> TensorProto:
    """Appends an array to the data file; its description."""
    file.write(bytes(-file.tell() % ALIGNMENT))
    offset = file.tell()
    array.tofile(file)
    tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", array.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def share_threads(threads: int) -> None:
    """Makes threads that all sessions of the process share, to be called before the first of them is opened.

    Threads of a session's own spin for a while after it has run, and take processors from the next one's.
    """
    ort.set_global_thread_pool_sizes(threads, 1)


def open_session(path: Path, threads: int | None, *, lookup: bool = False) -> ort.InferenceSession:
    """A session with so many intra-op threads of its own, or None: those of `share_threads`."""
    options = ort.SessionOptions()
    options.use_per_session_threads = threads is not None
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    options.enable_mem_pattern = False
    if lookup:
        options.add_session_config_entry("mlas.use_lut_gemm", "1")
    edgeq_ops.register(options)
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
