# SPDX-License-Identifier: Apache-2.0
"""The pass that quantizes the constant matrices of an ONNX graph."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from edgeq.progress import Progress
from edgeq.quantization.operators import DOMAIN, VERSION, row_sums
from edgeq.quantization.plan import Plan
from edgeq_export.passes import check, run_pass
from edgeq_export.rewrite.load import check_versions
from edgeq_export.rewrite.nodes import replace_use
from edgeq_export.rewrite.planning import Decision, GraphPlan, plan_graph


def quantize_model(model: ir.Model, plan: Plan, progress: Progress | None = None) -> GraphPlan:
    """Quantizes the matrices of a graph in place, as planned.

    Raises:
        EdgeqError: The model's version is not supported, a pattern matches no layer, or a matrix cannot be quantized.
    """
    prepare(model)
    quantize_pass = QuantizePass(plan, progress)
    run_pass(quantize_pass, model)
    common.RemoveUnusedNodesPass()(model)
    return quantize_pass.result


def prepare(model: ir.Model) -> None:
    """Inlines functions, and turns Constant nodes and Identity of constants into initializers."""
    for graph_pass in (common.InlinePass(), common.LiftConstantsToInitializersPass(), common.IdentityEliminationPass()):
        graph_pass(model)


class QuantizePass(ir.passes.InPlacePass):
    """Replaces MatMul, Gemm and Gather on constant matrices by edgeq operators on packed ones.

    Requires a supported version and no model-local functions; ensures that every edgeq node reads a constant packed
    matrix. Matrices that nothing reads any more are left to `RemoveUnusedNodesPass`.

    Args:
        plan: The scheme of each layer.
        progress: Told the stage ``quantize``.

    Attributes:
        result: After the pass, what became of each matrix.
    """

    def __init__(self, plan: Plan, progress: Progress | None = None) -> None:
        super().__init__()
        self.plan, self.progress = plan, progress
        self.result = GraphPlan([], [])

    def requires(self, model: ir.Model) -> None:
        """Supported versions, no functions."""
        check_versions(model)
        check(not model.functions, "model-local functions", found=len(model.functions), remedy="inline them first")

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Plans, quantizes and replaces."""
        self.result = plan_graph(model, self.plan)
        decisions = self.result.decisions
        for step, decision in enumerate(decisions):
            self._report(step, len(decisions))
            if decision.scheme.weights is not None:
                self._replace(model, decision)
        self._report(len(decisions), len(decisions))
        if self.result.quantizes:
            for graph in model.graphs():
                graph.opset_imports[DOMAIN] = VERSION
        return ir.passes.PassResult(model, modified=self.result.quantizes)

    def ensures(self, model: ir.Model) -> None:
        """Edgeq nodes read constant packed matrices."""
        for node in model.graph.all_nodes():
            packed = node.inputs[1] if node.domain == DOMAIN else None
            if packed is not None and (packed.const_value is None or packed.dtype != ir.DataType.UINT8):
                raise ir.passes.PostconditionError(f"{node.name} has no constant packed weight")

    def _replace(self, model: ir.Model, decision: Decision) -> None:
        weight, scheme = decision.weight, decision.scheme
        assert scheme.weights is not None
        operators = [weight.operator(use, scheme) for use in weight.uses]
        data = weight.pack(scheme.weights, self.plan)
        packed = ir.val(f"{decision.name}.weight.data", const_value=ir.tensor(data))
        model.graph.register_initializer(packed)
        sums = None
        if scheme.activation_mode == "token-asym":
            values = row_sums(scheme.weights, data, *weight.shape)
            sums = ir.val(f"{decision.name}.row_sums", const_value=ir.tensor(values))
            model.graph.register_initializer(sums)
        for use, (operator, attributes) in zip(weight.uses, operators, strict=True):
            replace_use(use, packed, operator, attributes, sums)

    def _report(self, done: int, total: int) -> None:
        if self.progress:
            self.progress("quantize", done, total)
