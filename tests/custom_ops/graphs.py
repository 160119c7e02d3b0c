# SPDX-License-Identifier: Apache-2.0
"""One-node models, their sessions, and what the operators must compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import edgeq_ops
from edgeq.formats.bcq import BcqFormat, BcqTensor
from edgeq.formats.codebook import CodebookFormat, CodebookTensor
from edgeq.formats.dint import DintFormat, DintTensor
from edgeq.formats.uniform import UniformFormat, UniformTensor

Floats = NDArray[np.float32]
INPUT_TYPES = {"X": TensorProto.FLOAT, "indices": TensorProto.INT64}


def one_node_model(
    operator: str,
    inputs: dict[str, list[int | str]],
    constants: dict[str, NDArray[Any]],
    attributes: dict[str, Any],
    ir_version: int = 9,
    positions: dict[str, int] | None = None,
) -> bytes:
    """A model of one node called ``head``. ``inputs`` are shapes; the output's shape is left to inference.

    ``positions`` says where an input lies that does not follow the one before it.
    """
    names: list[str] = []
    for name in [*inputs, *constants]:
        names += [""] * ((positions or {}).get(name, 0) - len(names)) + [name]
    node = helper.make_node(operator, names, ["Y"], name="head", domain="com.edgeq", **attributes)
    graph = helper.make_graph(
        [node],
        "one_node",
        [
            helper.make_tensor_value_info(name, INPUT_TYPES.get(name, TensorProto.FLOAT), dims)
            for name, dims in inputs.items()
        ],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.edgeq", 1)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version).SerializeToString()
    return model


def open_session(model: bytes, threads: int = 1) -> ort.InferenceSession:
    """A session on the CPU with edgeq's operators."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    edgeq_ops.register(options)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def random_uniform(form: UniformFormat, rows: int, columns: int, seed: int = 0) -> UniformTensor:
    """Random codes, scales of both signs, zero points."""
    rng = np.random.default_rng(seed)
    groups = -(-columns // form.group_size) if form.group_size else 1
    return UniformTensor(
        rng.integers(0, 2**form.bits, (rows, columns), dtype=np.uint8),
        (rng.uniform(0.5, 1.5, (rows, groups)) * rng.choice([-0.01, 0.01], (rows, groups))).astype(np.float16),
        None if form.symmetric else rng.integers(0, 2**form.bits, (rows, groups), dtype=np.uint8),
    )


def random_dint(form: DintFormat, rows: int, columns: int, seed: int = 0) -> DintTensor:
    """Random codes, scales of both signs, zero points."""
    uniform = random_uniform(UniformFormat(form.bits, form.group_size, form.symmetric), rows, columns, seed)
    zeros = None if uniform.zero_points is None else np.minimum(uniform.zero_points, form.top)
    return DintTensor(uniform.codes, uniform.scales, zeros)


def random_bcq(form: BcqFormat, rows: int, columns: int, seed: int = 0) -> BcqTensor:
    """Random codes, coefficients and offsets."""
    rng = np.random.default_rng(seed)
    groups = -(-columns // form.group_size) if form.group_size else 1
    return BcqTensor(
        rng.integers(0, 2**form.bits, (rows, columns), dtype=np.uint8),
        rng.uniform(0.01, 0.1, (rows, groups, form.bits)).astype(np.float16),
        rng.normal(0, 0.1, (rows, groups)).astype(np.float16),
    )


def random_codebook(form: CodebookFormat, rows: int, columns: int, seed: int = 0) -> CodebookTensor:
    """Random codes, levels, scales of both signs."""
    rng = np.random.default_rng(seed)
    groups = -(-columns // form.group_size) if form.group_size else 1
    return CodebookTensor(
        rng.integers(0, 2**form.bits, (rows, columns), dtype=np.uint8),
        rng.integers(-128, 128, (rows, groups, 2**form.bits)).astype(np.int8),
        (rng.uniform(0.5, 1.5, (rows, groups)) * rng.choice([-0.001, 0.001], (rows, groups))).astype(np.float16),
    )


def dint_gemm_attributes(
    form: UniformFormat | CodebookFormat | DintFormat, rows: int, columns: int, activation_bits: int
) -> dict[str, Any]:
    """The attributes of a DintGemm node."""
    return {
        "K": columns,
        "N": rows,
        "bits": form.bits,
        "group_size": form.group_size,
        "format": form.name,
        "has_zero_point": int(not getattr(form, "symmetric", True)),
        "activation_bits": activation_bits,
        **({"denominator": form.denominator} if isinstance(form, DintFormat) else {}),
    }


def dint_gemm_model(
    form: Any, tensor: Any, activation_bits: int, *, bias: Floats | None = None, rank: int = 2
) -> bytes:
    """A DintGemm with symbolic leading dimensions."""
    attributes = dint_gemm_attributes(form, *tensor.codes.shape, activation_bits)
    return gemm_model("DintGemm", form.pack(tensor), attributes, bias, rank)


def gemm_model(
    operator: str, packed: NDArray[np.uint8], attributes: dict[str, Any], bias: Floats | None, rank: int
) -> bytes:
    """A matrix product with symbolic leading dimensions."""
    constants: dict[str, NDArray[Any]] = {"W": packed}
    if bias is not None:
        constants["bias"] = bias
    shape: list[int | str] = [*("batch", "sequence", "extra")[: rank - 1], attributes["K"]]
    return one_node_model(operator, {"X": shape}, constants, attributes)


def round_bfloat16(x: Floats) -> Floats:
    """Normal floats rounded to the nearest bfloat16, half to even."""
    bits = x.view(np.uint32)
    rounded: Floats = ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return rounded


def round_activations(x: Floats, group_size: int) -> NDArray[np.float64]:
    """Activations after int8 quantization per token and activation block (docs/operators.md), ``[tokens, K]``."""
    columns = x.shape[1]
    padded = -(-columns // 32) * 32
    out = np.zeros(x.shape)
    for start in range(0, padded, group_size or padded):
        group_end = min(start + (group_size or padded), padded)
        for first in range(start, group_end, 128):
            block = x[:, first : min(first + 128, group_end)]
            scale = np.abs(block).max(axis=1, keepdims=True) / np.float32(127)
            codes = np.rint(block / np.where(scale > 0, scale, 1))
            out[:, first : first + block.shape[1]] = codes.astype(np.float64) * scale
    return out


def uniform_terms(form: UniformFormat, tensor: UniformTensor) -> Floats:
    """Magnitudes |s|·q + |s|·z of the two parts of each weight, which float kernels may sum apart, ``[N, K]``."""
    columns = tensor.codes.shape[1]
    of_group = np.arange(columns) // (form.group_size or columns)
    zeros = 2 ** (form.bits - 1) if tensor.zero_points is None else tensor.zero_points[:, of_group]
    terms: Floats = np.abs(tensor.scales.astype(np.float32))[:, of_group] * (tensor.codes + np.float32(1) * zeros)
    return terms


def relative_error(
    y: Floats, x: NDArray[Any], weight: Floats, bias: Floats | None = None, terms: Floats | None = None
) -> float:
    """Largest |y − x·Wᵀ − bias| relative to the sum of the magnitudes of its terms (by default |W|), in float64."""
    x64, weight64 = x.astype(np.float64), weight.astype(np.float64).T
    exact, magnitude = x64 @ weight64, np.abs(x64) @ np.abs(weight64 if terms is None else terms.T)
    if bias is not None:
        exact, magnitude = exact + bias, magnitude + np.abs(bias)
    return float((np.abs(y - exact) / (magnitude + 1e-30)).max(initial=0))
