# SPDX-License-Identifier: Apache-2.0
"""Quantized modules and ONNX files to bundles."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgeq_export.output_directory import check_output

if TYPE_CHECKING:
    from edgeq_export.export import check_supported, export_bundle
    from edgeq_export.rewrite import export_onnx_file, plan_onnx_file

__all__ = ["check_output", "check_supported", "export_bundle", "export_onnx_file", "plan_onnx_file"]

# Imported when they are used: an ONNX file is rewritten without transformers.
_HOMES = {
    "check_supported": "edgeq_export.export",
    "export_bundle": "edgeq_export.export",
    "export_onnx_file": "edgeq_export.rewrite",
    "plan_onnx_file": "edgeq_export.rewrite",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
