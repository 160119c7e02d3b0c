# SPDX-License-Identifier: Apache-2.0
"""Layer names, as far as an ONNX file still tells them; ``--layer PATTERN=SCHEME`` is matched against them."""

from __future__ import annotations

import re

import onnx_ir as ir

from edgeq_export.node_names import module_in_name, module_of

# What exporters call a constant that lost its name: onnx::MatMul_521 (TorchScript), val_12 (dynamo).
_ANONYMOUS = re.compile(r"onnx::\w+|_?val_\d+|\d+")


def layer_names(weight: ir.Value, node: ir.Node) -> list[str]:
    """Names of a layer, the best one first: module names, then the names of the tensor and the node themselves."""
    stem = str(weight.name).removesuffix(".weight")
    candidates = [
        None if _ANONYMOUS.fullmatch(stem) else stem,
        module_of(node),
        module_in_name(node),
        weight.name,
        node.name,
    ]
    return list(dict.fromkeys(name for name in candidates if name))
