# SPDX-License-Identifier: Apache-2.0
"""Hashes of the programs that ran a model, for the conditions of a measurement."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

_RUNTIME = "capi/onnxruntime_pybind11_state*.so"  # ONNX Runtime's own library, linked into its Python module


def program_hashes(operators: str | None) -> dict[str, str]:
    """SHA-256 of ONNX Runtime's library (``runtime``) and of the operators' (``operators``), as far as there are any.

    Args:
        operators: Path of the operator library.
    """
    found = {"operators": Path(operators)} if operators else {}
    spec = importlib.util.find_spec("onnxruntime")
    for directory in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(directory).glob(_RUNTIME):
            found["runtime"] = path
    return {name: _sha256(path) for name, path in found.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
