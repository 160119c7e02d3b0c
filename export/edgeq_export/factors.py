# SPDX-License-Identifier: Apache-2.0
"""The float16 factors of low-rank corrections."""

from __future__ import annotations

import onnx_ir as ir

from edgeq.quantization.corrections import WIDEN
from edgeq.quantization.operators import DOMAIN
from edgeq_export.passes import replace_node


def widen_factors(model: ir.Model) -> None:
    """Replaces, in place, what stands for a cast while torch traces by a Cast to float32.

    ONNX Runtime casts them once, when it loads the graph; the file keeps float16.
    """
    for node in list(model.graph.all_nodes()):
        if node.domain == DOMAIN and node.op_type == WIDEN:
            cast = ir.node("Cast", node.inputs, {"to": int(ir.DataType.FLOAT)}, name=node.name)
            replace_node(node, [cast])
