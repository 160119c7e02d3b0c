# SPDX-License-Identifier: Apache-2.0
"""ONNX files that other exporters wrote, to packed weights and edgeq's operators."""

from edgeq_export.rewrite.export import export_onnx_file
from edgeq_export.rewrite.load import load_onnx
from edgeq_export.rewrite.quantize import Kept, QuantizePass, RewriteResult, quantize_model

__all__ = ["Kept", "QuantizePass", "RewriteResult", "export_onnx_file", "load_onnx", "quantize_model"]
