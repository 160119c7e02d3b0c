# SPDX-License-Identifier: Apache-2.0
"""Makes the self-test's model: ``python tests/devices/make_selftest_model.py`` after a change of formats or cases."""

from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import edgeq_devices.selftest
from edgeq.quantization.operators import (
    DOMAIN,
    ROW_SUMS_INPUT,
    VERSION,
    gather_operator,
    matmul_operator,
    row_sums,
)
from edgeq_devices.selftest import cases
from edgeq_devices.selftest.run import MODEL

IR_VERSION, OPSET = 9, 17  # what ONNX Runtime 1.17 reads
PATH = Path(edgeq_devices.selftest.__file__).with_name(MODEL)


def build() -> ModelProto:
    """One node per case, and one QuantGather per gathered weight."""
    nodes, outputs = [], []
    for case in cases.CASES:
        shape = cases.ROWS, cases.COLUMNS
        operator, attributes = matmul_operator(case.format, *shape, case.activation_bits, case.activation_mode)
        sums = [""] * (ROW_SUMS_INPUT - 2) + [f"{case.name}.row_sums"] if _has_zero_points(case) else []
        nodes.append(_node(operator, ["X", _weight(case.name), *sums], case.name, attributes))
        outputs.append(helper.make_tensor_value_info(case.name, TensorProto.FLOAT, ["tokens", cases.ROWS]))
    for case in (case for case in cases.CASES if case.name in cases.GATHERED):
        operator, attributes = gather_operator(case.format, cases.ROWS, cases.COLUMNS)
        name = f"gather_{case.name}"
        nodes.append(_node(operator, ["indices", _weight(case.name)], name, attributes))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["tokens", cases.COLUMNS]))
    inputs = [
        helper.make_tensor_value_info("X", TensorProto.FLOAT, ["tokens", cases.COLUMNS]),
        helper.make_tensor_value_info("indices", TensorProto.INT64, ["tokens"]),
    ]
    weights = [numpy_helper.from_array(cases.packed(case.format), _weight(case.name)) for case in cases.CASES]
    weights += [
        numpy_helper.from_array(
            row_sums(case.format, cases.packed(case.format), cases.ROWS, cases.COLUMNS), f"{case.name}.row_sums"
        )
        for case in cases.CASES
        if _has_zero_points(case)
    ]
    graph = helper.make_graph(nodes, "selftest", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, VERSION)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="edgeq")


def _has_zero_points(case: cases.Case) -> bool:
    """Of the activations."""
    return case.activation_mode == "token-asym"


def _weight(name: str) -> str:
    return f"{name}.weight"


def _node(operator: str, inputs: list[str], name: str, attributes: dict[str, object]) -> NodeProto:
    return helper.make_node(operator, inputs, [name], name=name, domain=DOMAIN, **dict(sorted(attributes.items())))


if __name__ == "__main__":
    PATH.write_bytes(build().SerializeToString(deterministic=True))
