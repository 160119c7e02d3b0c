# SPDX-License-Identifier: Apache-2.0
"""The pass that quantizes the constant matrices of an ONNX graph."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes import common

from edgeq.bundle.manifest import LayerRecord
from edgeq.progress import Progress
from edgeq.quantization.operators import DOMAIN, VERSION
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme
from edgeq_export.passes import check, run_pass
from edgeq_export.rewrite.load import check_versions
from edgeq_export.rewrite.matching import FLOATS, Refusal, Use, match, relays_constant
from edgeq_export.rewrite.nodes import replace_use
from edgeq_export.rewrite.weights import Weight, collect_weights

FP32 = str(Scheme(None))


@dataclass(frozen=True)
class Kept:
    """A constant of two or more dimensions that stays in float, and why."""

    name: str
    shape: tuple[int, ...]
    reason: str


@dataclass
class RewriteResult:
    """What became of a graph's matrices.

    Attributes:
        records: One per matrix of a MatMul, Gemm or embedding.
        kept: The float constants that stay.
    """

    records: list[LayerRecord]
    kept: list[Kept]


def quantize_model(model: ir.Model, plan: Plan, progress: Progress | None = None) -> RewriteResult:
    """Quantizes the matrices of a graph in place, as planned.

    Raises:
        EdgeqError: The model's version is not supported, a pattern matches no layer, or a matrix cannot be quantized.
    """
    for graph_pass in (common.InlinePass(), common.LiftConstantsToInitializersPass(), common.IdentityEliminationPass()):
        graph_pass(model)
    quantize_pass = QuantizePass(plan, progress)
    run_pass(quantize_pass, model)
    common.RemoveUnusedNodesPass()(model)
    return RewriteResult(quantize_pass.records, _list_kept(model, quantize_pass.reasons))


class QuantizePass(ir.passes.InPlacePass):
    """Replaces MatMul, Gemm and Gather on constant matrices by edgeq operators on packed ones.

    Requires a supported version and no model-local functions; ensures that every edgeq node reads a constant packed
    matrix and that the operators' domain is imported. Matrices that nothing reads any more are removed afterwards.

    Args:
        plan: The scheme of each layer.
        progress: Told the stage ``quantize``.

    Attributes:
        records: After the pass, one record per matrix.
        reasons: After the pass, why an initializer was not replaced.
    """

    def __init__(self, plan: Plan, progress: Progress | None = None) -> None:
        super().__init__()
        self.plan, self.progress = plan, progress
        self.records: list[LayerRecord] = []
        self.reasons: dict[ir.Value, str] = {}

    def requires(self, model: ir.Model) -> None:
        """Supported versions, no functions."""
        check_versions(model)
        check(not model.functions, "model-local functions", found=len(model.functions), remedy="inline them first")

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Matches, plans, quantizes and replaces."""
        weights = collect_weights(self._match_all(model))
        names = [name for weight in weights for name in weight.names]
        if self.plan.overrides:
            self.plan.check_patterns(names)
        taken = set(model.graph.initializers)
        for step, weight in enumerate(weights):
            self._report(step, len(weights))
            self._replace(model, weight, taken)
        self._report(len(weights), len(weights))
        if any(record.scheme != FP32 for record in self.records):
            for graph in model.graphs():
                graph.opset_imports[DOMAIN] = VERSION
        return ir.passes.PassResult(model, modified=bool(weights))

    def ensures(self, model: ir.Model) -> None:
        """Edgeq nodes read constant packed matrices."""
        for node in model.graph.all_nodes():
            if node.domain != DOMAIN:
                continue
            packed = node.inputs[1]
            if packed is None or packed.const_value is None or packed.dtype != ir.DataType.UINT8:
                raise ir.passes.PostconditionError(f"{node.name} has no constant packed weight")

    def _match_all(self, model: ir.Model) -> list[Use]:
        uses: list[Use] = []
        for node in model.graph.all_nodes():
            match found := match(node):
                case Use():
                    uses.append(found)
                case Refusal():
                    self.reasons[found.weight] = found.reason
        matched = {use.node for use in uses}
        for weight in {use.weight: None for use in uses}:
            if other := _other_reader(weight, matched):
                self.reasons.setdefault(weight, f"{other} reads it")
        return uses

    def _replace(self, model: ir.Model, weight: Weight, taken: set[str]) -> None:
        scheme = weight.scheme(self.plan)
        reason = self._reason_to_keep(weight)
        name = next((name for name in weight.names if f"{name}.weight.data" not in taken), str(weight.initializer.name))
        self.records.append(weight.record(name, scheme, quantized=reason is None))
        if reason is not None or scheme.weights is None:
            self.reasons |= {use.weight: str(reason) for use in weight.uses}
            return
        operators = [weight.operator(use, scheme) for use in weight.uses]
        packed = ir.val(f"{name}.weight.data", const_value=ir.tensor(weight.pack(scheme.weights, self.plan)))
        taken.add(str(packed.name))
        model.graph.register_initializer(packed)
        for use, (operator, attributes) in zip(weight.uses, operators, strict=True):
            replace_use(use, packed, operator, attributes)

    def _reason_to_keep(self, weight: Weight) -> str | None:
        fmt = weight.scheme(self.plan).weights
        if fmt is None:
            return "the plan keeps it"
        for use in weight.uses:
            if use.weight in self.reasons:
                return f"another node needs it in float: {self.reasons[use.weight]}"
        if fmt.packed_size(*weight.shape) >= weight.nbytes:
            return "packed it would be no smaller"
        return None

    def _report(self, done: int, total: int) -> None:
        if self.progress:
            self.progress("quantize", done, total)


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


def _list_kept(model: ir.Model, reasons: dict[ir.Value, str]) -> list[Kept]:
    kept = []
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is not None and tensor.dtype in (*FLOATS, ir.DataType.DOUBLE) and len(tensor.shape) >= 2:
                kept.append(
                    Kept(
                        str(value.name),
                        tuple(tensor.shape.numpy()),
                        reasons.get(value) or _readers(value),
                    )
                )
    return kept


def _readers(value: ir.Value) -> str:
    names = sorted({usage.node.op_type for usage in value.uses()})
    return f"it is read by {', '.join(names)}" if names else "it is a model output"
