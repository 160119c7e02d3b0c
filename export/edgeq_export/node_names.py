# SPDX-License-Identifier: Apache-2.0
"""Nodes named by the module that they compute: ``/model/layers.3/self_attn/qkv_proj/DintGemm``.

PyTorch's older exporter, optimum and onnxruntime-genai name nodes in this way; its newer exporter numbers them and puts
the modules into metadata, which bundles do not keep. ONNX Runtime's profile shows names alone.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence

import onnx_ir as ir

NAME_SCOPES = "pkg.torch.onnx.name_scopes"
# What torch.export makes of `self.layers[:5]`, through which decoders of transformers go: layers.slice(None, 5, None).2
_SLICE = re.compile(r"\.slice\([^)]*\)")
_NO_MODULE = "_empty_nn_module_stack_from_metadata_hook"  # what torch.export calls the outermost module in places


def module_of(node: ir.Node) -> str | None:
    """The innermost module, dotted; empty for the outermost; ``None`` where the exporter does not tell.

    The metadata reads ``['', 'model', 'model.embed_tokens', 'embedding']``; the last entry is the operation.
    """
    try:
        scopes = ast.literal_eval(node.metadata_props.get(NAME_SCOPES, "[]"))
    except (ValueError, SyntaxError):
        return None
    if not isinstance(scopes, list) or len(scopes) < 2:
        return None
    return "" if scopes[-2] == _NO_MODULE else _SLICE.sub("", str(scopes[-2]))


def module_in_name(node: ir.Node) -> str | None:
    """``model.layers.0.mlp.up_proj`` of a node that is named ``/model/layers.0/mlp/up_proj/MatMul``."""
    parts = (node.name or "").strip("/").split("/")
    return ".".join(parts[:-1]) or None


def inherit_module(node: ir.Node, origins: Sequence[ir.Node]) -> None:
    """Lets a node that takes the place of others belong to their module, or modules."""
    modules = [module_in_name(origin) if (found := module_of(origin)) is None else found for origin in origins]
    known = [module for module in modules if module is not None]
    if known:
        node.metadata_props[NAME_SCOPES] = repr(["", _merged(known), ""])


def name_nodes(model: ir.Model, wrapper: str = "") -> None:
    """Names, in place, every node whose module is known by module and operator; equal names are numbered.

    Args:
        model: With the exporter's metadata.
        wrapper: Name of the module around the model that was traced, which its names shall not have.
    """
    nodes = list(model.graph.all_nodes())
    modules = [module_of(node) for node in nodes]
    # Counts from the names that stay as they are: names must differ.
    seen = Counter(node.name for node, module in zip(nodes, modules, strict=True) if module is None)
    for node, module in zip(nodes, modules, strict=True):
        if module is not None:
            node.name = _unique("/".join([_path(module, wrapper), node.op_type]), seen)


def _unique(name: str, seen: Counter[str | None]) -> str:
    numbered = f"{name}_{seen[name]}" if seen[name] else name
    seen[name] += 1
    return _unique(numbered, seen) if numbered != name else name


def _path(module: str, wrapper: str) -> str:
    """``model.model.layers.3.mlp`` to ``/model/layers.3/mlp``, as numbers belong to the list that they index."""
    parts = module.split(".")
    path = ""
    for part in parts[1:] if wrapper and parts[0] == wrapper else parts:
        path += f".{part}" if part.isdigit() and path else f"/{part}" if part else ""
    return path


def _merged(modules: Sequence[str]) -> str:
    """``a.q_proj``, ``a.k_proj`` and ``a.v_proj`` to ``a.qkv_proj``; ``a.gate_proj`` and ``a.up_proj`` likewise."""
    if len(set(modules)) == 1:
        return modules[0]
    split = [module.split(".") for module in modules]
    shared = [len(set(level)) == 1 for level in zip(*(parts[:-1] for parts in split), strict=False)]
    parent = split[0][: [*shared, False].index(False)]
    leaves = [parts[-1] for parts in split]
    suffix = leaves[0][leaves[0].rfind("_") :] if "_" in leaves[0] else ""
    if not all(leaf.endswith(suffix) for leaf in leaves):
        suffix = ""
    stems = [leaf.removesuffix(suffix) for leaf in leaves]
    return ".".join([*parent, ("" if all(len(stem) == 1 for stem in stems) else "_").join(stems) + suffix])
