# SPDX-License-Identifier: Apache-2.0
"""What is to become of each constant of a graph, decided from names and shapes before any weight is quantized."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from edgeq.bundle.manifest import LayerRecord
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme
from edgeq_export.rewrite.matching import FLOATS, Refusal, Use, match, relays_constant
from edgeq_export.rewrite.weights import Weight, collect_weights


@dataclass(frozen=True)
class Kept:
    """A matrix or larger constant that stays in float, and why."""

    name: str
    shape: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Decision:
    """What becomes of a matrix.

    Attributes:
        weight: The matrix and its uses.
        name: Its layer name, unique in the graph.
        scheme: Its scheme; float if it is kept.
    """

    weight: Weight
    name: str
    scheme: Scheme

    @property
    def record(self) -> LayerRecord:
        """The manifest's record."""
        return self.weight.record(self.name, self.scheme)


@dataclass(frozen=True)
class GraphPlan:
    """What becomes of the constants of a graph.

    Attributes:
        decisions: One per matrix of a MatMul, Gemm or embedding.
        kept: Every float matrix or larger constant that stays.
    """

    decisions: list[Decision]
    kept: list[Kept]

    @property
    def records(self) -> list[LayerRecord]:
        """One record per matrix of a MatMul, Gemm or embedding."""
        return [decision.record for decision in self.decisions]

    @property
    def quantizes(self) -> bool:
        """Whether any matrix is quantized."""
        return any(decision.scheme.weights is not None for decision in self.decisions)


def plan_graph(model: ir.Model, plan: Plan) -> GraphPlan:
    """Applies a plan to a graph.

    Raises:
        EdgeqError: A pattern matches no layer.
    """
    uses, reasons = _match_all(model)
    weights = collect_weights(uses)
    if plan.overrides:
        plan.check_patterns(name for weight in weights for name in weight.names)
    decisions: list[Decision] = []
    names: set[str] = set()
    for weight in weights:
        scheme = weight.scheme(plan)
        if reason := _reason_to_keep(weight, scheme, reasons):
            scheme = Scheme(None)
            reasons |= {use.weight: reason for use in weight.uses}
        name = next((name for name in weight.names if name not in names), str(weight.initializer.name))
        names.add(name)
        decisions.append(Decision(weight, name, scheme))
    quantized = {use.weight for each in decisions if each.scheme.weights is not None for use in each.weight.uses}
    return GraphPlan(decisions, _list_kept(model, quantized, reasons))


def _match_all(model: ir.Model) -> tuple[list[Use], dict[ir.Value, str]]:
    """Uses of constant matrices, and why some constants must stay."""
    uses: list[Use] = []
    reasons: dict[ir.Value, str] = {}
    for node in model.graph.all_nodes():
        match found := match(node):
            case Use():
                uses.append(found)
            case Refusal():
                reasons[found.weight] = found.reason
    matched = {use.node for use in uses}
    for weight in dict.fromkeys(use.weight for use in uses):
        if other := _other_reader(weight, matched):
            reasons.setdefault(weight, f"{other} reads it too")
    return uses, reasons


def _reason_to_keep(weight: Weight, scheme: Scheme, reasons: dict[ir.Value, str]) -> str | None:
    if scheme.weights is None:
        return "the plan keeps it"
    if needed := next((reasons[use.weight] for use in weight.uses if use.weight in reasons), None):
        return needed
    if scheme.weights.packed_size(*weight.shape) >= weight.nbytes:
        return "packed it would be no smaller"
    return None


def _other_reader(value: ir.Value, matched: set[ir.Node]) -> str | None:
    """The type of a node that reads a matrix, transposed or cast perhaps, and is none of the matched ones."""
    for usage in value.uses():
        if usage.node in matched:
            continue
        if not relays_constant(usage.node):
            return usage.node.op_type
        if other := _other_reader(usage.node.outputs[0], matched):
            return other
    return None


def _list_kept(model: ir.Model, quantized: set[ir.Value], reasons: dict[ir.Value, str]) -> list[Kept]:
    kept = []
    for value in (value for graph in model.graphs() for value in graph.initializers.values()):
        tensor = value.const_value
        if value in quantized or tensor is None or tensor.dtype not in (*FLOATS, ir.DataType.DOUBLE):
            continue
        shape = tuple(tensor.shape.numpy())
        is_vector = sum(size > 1 for size in shape) < 2  # biases and the like, written with dimensions of 1
        if not is_vector and (value.uses() or value.is_graph_output()):
            kept.append(Kept(str(value.name), shape, reasons.get(value) or _readers(value)))
    return kept


def _readers(value: ir.Value) -> str:
    names = sorted({usage.node.op_type for usage in value.uses()})
    return f"it is read by {', '.join(names)}" if names else "it is a model output"
