# SPDX-License-Identifier: Apache-2.0
"""ONNX files that other exporters wrote, to packed weights and edgeq's operators."""

from edgeq_export.rewrite.export import export_onnx_file, plan_onnx_file
from edgeq_export.rewrite.load import load_onnx
from edgeq_export.rewrite.planning import GraphPlan, Kept
from edgeq_export.rewrite.quantize import QuantizePass, quantize_model

__all__ = ["GraphPlan", "Kept", "QuantizePass", "export_onnx_file", "load_onnx", "plan_onnx_file", "quantize_model"]
