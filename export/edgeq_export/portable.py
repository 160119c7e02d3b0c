# SPDX-License-Identifier: Apache-2.0
"""Uniform weights as ONNX Runtime's own operators, for places where no custom library may load.

``DintGemm`` becomes ``com.microsoft.MatMulNBits`` and ``QuantGather`` becomes ``com.microsoft.GatherBlockQuantized``;
a tied embedding and head keep one tensor. The decoded weights are exactly the same.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeq.bundle.manifest import LayerRecord
from edgeq.errors import EdgeqError
from edgeq.formats import DintFormat, UniformFormat
from edgeq.quantization.operators import DOMAIN
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme
from edgeq_export.matmul_nbits import BITS, BLOCK_SIZES, BlockLayout
from edgeq_export.passes import check, run_pass
from edgeq_export.portable_nodes import (
    STOCK_DOMAIN,
    StockWeights,
    activation_bits,
    edgeq_nodes,
    format_of,
    replace_gather,
    replace_matmul,
)

STOCK_OPERATORS = {"DintGemm": "MatMulNBits", "QuantGather": "GatherBlockQuantized"}
# With float activations MatMulNBits has kernels for 4 bits only; at 2 and 8 bits every call decodes the whole matrix,
# which is 100 times slower. None of them computes in bfloat16.
FLOAT_ACTIVATION_BITS = 4


def check_plan(plan: Plan) -> None:
    """Checks, before any work, that a plan can be written with stock operators.

    Raises:
        EdgeqError: A scheme of the plan has no stock operator.
    """
    check_portable(plan.default)
    if plan.vocabulary:
        check_portable(plan.vocabulary, "token embedding and output head")
    for pattern, scheme in plan.overrides:
        check_portable(scheme, pattern)


def check_portable(scheme: Scheme, layers: str = "") -> None:
    """Checks that a scheme has a stock operator; ``layers`` says for which layers it is meant.

    Raises:
        EdgeqError: The scheme has no stock operator; the message names the nearest one that has.
    """
    nearest = nearest_portable(scheme)
    if nearest != scheme:
        raise EdgeqError(
            "no operator of ONNX Runtime's own for this scheme",
            field=f"--portable: {layers}" if layers else "--portable",
            found=scheme,
            wanted="uniform 2, 4 or 8 bits in groups of 32, 64, 128 or 256, float activations (a32) with 4 bits only",
            remedy=f"use the nearest, {nearest}, or leave out --portable",
        )


def nearest_portable(scheme: Scheme) -> Scheme:
    """The most similar scheme that stock operators have: no fewer bits, the nearest group size, as symmetric."""
    fmt = scheme.weights
    if fmt is None:
        return scheme
    bits = min(width for width in BITS if width >= fmt.bits)
    group_size = min(BLOCK_SIZES, key=lambda size: abs(size - (fmt.group_size or 128)))
    symmetric = isinstance(fmt, UniformFormat | DintFormat) and fmt.symmetric  # the others have an offset of their own
    activations = scheme.activation_bits
    if activations in (16, 32):
        activations = 32 if bits == FLOAT_ACTIVATION_BITS else None
    return Scheme(UniformFormat(bits, group_size, symmetric), activations)


def portable_record(record: LayerRecord) -> LayerRecord:
    """The record of a matrix after `make_portable`."""
    fmt = Scheme.parse(record.scheme).weights
    if not isinstance(fmt, UniformFormat):
        return record
    operators = [STOCK_OPERATORS[operator] for operator in record.operators]
    size = BlockLayout(fmt, record.rows, record.columns).size + sum(each.size for each in record.corrections)
    return record.model_copy(update={"operators": operators, "size": size})


def make_portable(model: ir.Model) -> None:
    """Replaces edgeq's operators by ONNX Runtime's own, in place; weights are converted when the model is written.

    Raises:
        EdgeqError: A node has no stock counterpart.
    """
    run_pass(PortablePass(), model)


class PortablePass(ir.passes.InPlacePass):
    """The pass behind `make_portable`.

    Requires constant packed weights and schemes that pass `check_portable`; ensures that no edgeq operator is left.
    """

    def requires(self, model: ir.Model) -> None:
        """Every edgeq node has a stock counterpart and a constant weight."""
        for node in edgeq_nodes(model):
            check(
                node.op_type in STOCK_OPERATORS,
                "no operator of ONNX Runtime's own",
                field=node.name,
                found=node.op_type,
            )
            check_portable(Scheme(format_of(node), activation_bits(node)), str(node.name))
            weight = node.inputs[1]
            check(
                weight is not None and weight.const_value is not None, "packed weight is not constant", field=node.name
            )

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replaces the nodes, then drops the packed weights."""
        nodes = list(edgeq_nodes(model))
        weights = StockWeights(model.graph)
        for node in nodes:
            if node.op_type == "DintGemm":
                replace_matmul(node, weights)
            else:
                replace_gather(node, weights)
        for graph in model.graphs():
            graph.opset_imports.pop(DOMAIN, None)
        model.graph.opset_imports[STOCK_DOMAIN] = 1
        weights.drop_packed()
        return ir.passes.PassResult(model, modified=bool(nodes))

    def ensures(self, model: ir.Model) -> None:
        """No edgeq node is left."""
        if left := edgeq_nodes(model):
            raise ir.passes.PostconditionError(f"{len(left)} edgeq nodes left, the first is {left[0].name}")
