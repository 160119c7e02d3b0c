# SPDX-License-Identifier: Apache-2.0
"""Constants that lie at odd addresses of a memory map: nothing aligns tensors in files of external data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import edgeq_ops
from edgeq.formats import BcqFormat, UniformFormat
from tests.custom_ops.graphs import dint_gemm_attributes, one_node_model, open_session, random_bcq, random_uniform
from tests.custom_ops.lut_reference import lut_gemm_attributes

ROWS, COLUMNS = 101, 200
BIAS = np.linspace(-1, 1, ROWS, dtype=np.float32)


def dint_gemm(**attributes: Any) -> bytes:
    form = UniformFormat(4, 32, symmetric=False)
    tensor = random_uniform(form, ROWS, COLUMNS)
    constants: dict[str, np.ndarray] = {"W": form.pack(tensor), "bias": BIAS}
    positions = {}
    if attributes.get("activation_quantization") == "token_asym":
        constants["row_sums"] = form.decode(tensor).sum(1)
        positions["row_sums"] = 7
    attributes = dint_gemm_attributes(form, ROWS, COLUMNS, 8) | attributes
    return one_node_model("DintGemm", {"X": ["tokens", COLUMNS]}, constants, attributes, positions=positions)


def lut_gemm(table_bits: int) -> bytes:
    form = BcqFormat(3, 64)
    constants: dict[str, np.ndarray] = {"W": form.pack(random_bcq(form, ROWS, COLUMNS)), "bias": BIAS}
    attributes = lut_gemm_attributes(form, ROWS, COLUMNS, table_bits)
    return one_node_model("LutGemm", {"X": ["tokens", COLUMNS]}, constants, attributes)


def save_at_odd_offsets(model: bytes, directory: Path) -> Path:
    """Saves a model whose constants lie in a file, each one byte behind a page's start."""
    proto, data = onnx.load_from_string(model), bytearray()
    for tensor in proto.graph.initializer:
        data += bytes(4096 - len(data) % 4096 + 1)
        for key, value in (("location", "data"), ("offset", len(data)), ("length", len(tensor.raw_data))):
            tensor.external_data.add(key=key, value=str(value))
        data += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
    (directory / "data").write_bytes(data)
    (directory / "model.onnx").write_bytes(proto.SerializeToString())
    return directory / "model.onnx"


@pytest.mark.parametrize(
    "model",
    [
        dint_gemm(),
        dint_gemm(activation_bits=16),
        dint_gemm(activation_bits=32),
        dint_gemm(activation_quantization="token_asym"),
        lut_gemm(8),
        lut_gemm(16),
    ],
    ids=["int8", "bf16", "float", "asymmetric", "tables", "wide tables"],
)
def test_results_do_not_depend_on_alignment(isa: str, model: bytes, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    edgeq_ops.register(options)
    path = save_at_odd_offsets(model, tmp_path)
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    aligned = open_session(model)
    for tokens in (1, 3, 20):
        x = np.random.default_rng(tokens).standard_normal((tokens, COLUMNS), np.float32)
        np.testing.assert_array_equal(session.run(None, {"X": x})[0], aligned.run(None, {"X": x})[0])
