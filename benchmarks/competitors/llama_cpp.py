# SPDX-License-Identifier: Apache-2.0
"""llama.cpp's types: quantized by its own library (in ``llama-cpp-python``), decoded by the ``gguf`` package."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from competitors.base import Floats, Quantizer, UnsuitableError

TYPES = ("Q8_0", "Q4_0", "Q4_K", "IQ4_XS", "Q3_K", "IQ3_S", "IQ3_XXS", "Q2_K", "IQ2_S")
LIBRARY_VARIABLE = "GGML_LIBRARY"  # a libggml-base built elsewhere


def llama_cpp_quantizers() -> list[Quantizer]:
    """Each type, without and with an importance matrix; none if llama.cpp or gguf is not installed."""
    library = _library()
    if library is None or importlib.util.find_spec("gguf") is None:
        return []
    import gguf

    quantizers: list[Quantizer] = []
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        methods = ("default", "imatrix") if name != "Q8_0" else ("default",)
        quantizers += [_quantizer(library, kind, 8 * size / block, block, method) for method in methods]
    return quantizers


def _quantizer(library: ctypes.CDLL, kind: Any, bits: float, block: int, method: str) -> Quantizer:
    import gguf

    def quantize(weight: Floats, gram: NDArray[np.float64] | None) -> Floats:
        rows, columns = weight.shape
        if columns % block:
            raise UnsuitableError(f"{kind.name} stores {block} weights at a time, a row has {columns}")
        values = np.ascontiguousarray(weight, np.float32)
        # llama.cpp's importance matrix is the mean square of each input, over the calibration tokens.
        importance = None if gram is None else np.ascontiguousarray(np.diag(gram), np.float32)
        out = np.empty(gguf.quant_shape_to_byte_shape(values.shape, kind), np.uint8)
        pointer = None if importance is None else importance.ctypes.data
        library.ggml_quantize_chunk(kind.value, values.ctypes.data, out.ctypes.data, 0, rows, columns, pointer)
        decoded: Floats = gguf.dequantize(out, kind).reshape(rows, columns).astype(np.float32)
        return decoded

    return Quantizer("llama.cpp", kind.name, method, lambda _n, _k: bits, quantize, calibrated=method == "imatrix")


def _library() -> ctypes.CDLL | None:
    path = _library_path()
    if path is None:
        return None
    library = ctypes.CDLL(str(path))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
        *[ctypes.c_int64] * 3,
        ctypes.c_void_p,
    ]
    return library


def _library_path() -> Path | None:
    if named := os.environ.get(LIBRARY_VARIABLE):
        return Path(named)
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("lib/libggml-base.so*"), None)
