# SPDX-License-Identifier: Apache-2.0
"""Layer names, as far as an ONNX file still tells them; ``--layer PATTERN=SCHEME`` is matched against them."""

from __future__ import annotations

import ast
import re

import onnx_ir as ir

# What exporters call a constant that lost its name: onnx::MatMul_521 (TorchScript), val_12 (dynamo).
_ANONYMOUS = re.compile(r"onnx::\w+|_?val_\d+|\d+")
_NAME_SCOPES = "pkg.torch.onnx.name_scopes"


def layer_names(weight: ir.Value, node: ir.Node) -> list[str]:
    """Names of a layer, the best one first: module names, then the names of the tensor and the node themselves."""
    stem = str(weight.name).removesuffix(".weight")
    candidates = [
        None if _ANONYMOUS.fullmatch(stem) else stem,
        _dynamo_scope(node),
        _torchscript_scope(node),
        weight.name,
        node.name,
    ]
    return list(dict.fromkeys(name for name in candidates if name))


def _torchscript_scope(node: ir.Node) -> str | None:
    """``/model/layers.0/mlp/up_proj/MatMul`` to ``model.layers.0.mlp.up_proj``."""
    parts = (node.name or "").strip("/").split("/")
    return ".".join(parts[:-1]) or None


def _dynamo_scope(node: ir.Node) -> str | None:
    """The innermost module of ``['', 'model', 'model.embed_tokens', 'embedding']``; the last entry is the operation."""
    try:
        scopes = ast.literal_eval(node.metadata_props.get(_NAME_SCOPES, "[]"))
    except (ValueError, SyntaxError):
        return None
    return str(scopes[-2]) if isinstance(scopes, list) and len(scopes) > 1 else None
