# SPDX-License-Identifier: Apache-2.0
"""Where the time went: operators of a row grouped by kind, and by layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from edgeq_devices.events import Node

# ``/model/layers.3/mlp/down_proj/DintGemm``: exporters name nodes by module and operator, layers are numbered modules.
_LAYER = re.compile(r"(?P<layer>(?:/[a-z_]\w*)*?/[a-z_]\w*\.\d+)/(?P<rest>.+)")
_MODULE = re.compile(r"(?P<layer>/.+)/(?P<rest>[^/]+)")
NO_LAYER = "(no layer)"


class Group(NamedTuple):
    """A table: its first header names the row that was measured; columns of text are left-aligned."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: Sequence[str]


def groups(name: str, nodes: Sequence[Node]) -> Iterator[Group]:
    """By kind of operator, the slowest first; by layer, in the order in which they run.

    Args:
        name: Of the row.
        nodes: Calls and time of each node of the graph.
    """
    if not nodes:
        return
    total = _us(nodes) or 1
    kinds = sorted(_grouped(nodes, lambda node: node.op).items(), key=lambda group: -_us(group[1]))
    title = f"{name}, by operator"
    rows = [_kind_cells(kind, found, total) for kind, found in kinds]
    yield Group([title, "nodes", "calls", "us/call", "share"], rows, (title,))
    layers = _grouped(nodes, lambda node: split_name(node.node)[0])
    if len(layers) > 1:
        title = f"{name}, by layer"
        rows = [_layer_cells(layer, found, total) for layer, found in layers.items()]
        yield Group([title, "nodes", "us/run", "share", "slowest operator"], rows, (title, "slowest operator"))


def split_name(name: str) -> tuple[str, str]:
    """Layer and what is left of a node's name: ``model.layers.3`` and ``mlp/down_proj/DintGemm``.

    A node outside of layers belongs to its module (``lm_head``); one whose name tells none to `NO_LAYER`.
    """
    found = _LAYER.fullmatch(name) or _MODULE.fullmatch(name)
    return (found["layer"].strip("/").replace("/", "."), found["rest"]) if found else (NO_LAYER, name.strip("/"))


def _grouped(nodes: Sequence[Node], key: Callable[[Node], str]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in nodes:
        found.setdefault(key(node), []).append(node)
    return found


def _us(nodes: Sequence[Node]) -> int:
    return sum(node.us for node in nodes)


def _kind_cells(kind: str, nodes: Sequence[Node], total: int) -> list[str]:
    calls = sum(node.calls for node in nodes)
    mean = f"{_us(nodes) / calls:.1f}" if calls else ""
    return [kind, str(len(nodes)), str(calls), mean, _share(_us(nodes), total)]


def _layer_cells(layer: str, nodes: Sequence[Node], total: int) -> list[str]:
    """The time that all operators of a layer take in one run of the graph, and which of them takes most."""
    slowest = max(nodes, key=lambda node: node.us)
    mean = sum(node.us / node.calls for node in nodes if node.calls)
    part = f"{split_name(slowest.node)[1]}, {_share(slowest.us, total)}"
    return [layer, str(len(nodes)), f"{mean:.1f}", _share(_us(nodes), total), part]


def _share(us: int, total: int) -> str:
    return f"{100 * us / total:.1f} %"
