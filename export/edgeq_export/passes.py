# SPDX-License-Identifier: Apache-2.0
"""What edgeq's onnx-ir passes share: conditions with actionable errors, and the replacement of a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from edgeq.errors import EdgeqError
from edgeq_export.node_names import inherit_module


def run_pass(graph_pass: ir.passes.PassBase, model: ir.Model) -> None:
    """Applies an in-place pass.

    Raises:
        EdgeqError: As the pass's conditions raise it; onnx-ir would hide it behind an error of its own.
    """
    try:
        graph_pass(model)
    except ir.passes.InvariantError as error:
        if isinstance(error.__cause__, EdgeqError):
            raise error.__cause__ from None
        raise


def check(holds: bool, problem: str, **details: Any) -> None:
    """Checks a condition.

    Raises:
        EdgeqError: It does not hold; ``details`` are the arguments of the error.
    """
    if not holds:
        raise EdgeqError(problem, **details)


def replace_node(node: ir.Node, replacement: Sequence[ir.Node], output: ir.Value | None = None) -> None:
    """Puts nodes in the place of one; the last one's first output takes over the name, type and readers of ``output``.

    Args:
        node: The node to remove; its first output is replaced unless ``output`` is given.
        replacement: The new nodes, in topological order.
        output: What the replacement computes, if it is the output of a later node, which is removed too.
    """
    old = node.outputs[0] if output is None else output
    last = old.producer()
    assert last is not None
    assert node.graph is not None
    removed = [node] if last is node else [last, node]
    for each in replacement:
        inherit_module(each, [node])
    ir.convenience.replace_nodes_and_values(node.graph, last, removed, replacement, [old], [replacement[-1].outputs[0]])
