# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from edgeq_devices.events import Node
from edgeq_devices.operator_groups import NO_LAYER, groups, split_name


@pytest.mark.parametrize(
    ("name", "layer", "rest"),
    [
        ("/model/layers.3/mlp/down_proj/DintGemm", "model.layers.3", "mlp/down_proj/DintGemm"),
        ("/layers.11/Add_1", "layers.11", "Add_1"),
        ("/encoder/layer.0/attention/self/query/MatMul", "encoder.layer.0", "attention/self/query/MatMul"),
        ("/model/layers.3/experts.7/w1/MatMul", "model.layers.3", "experts.7/w1/MatMul"),
        ("/lm_head/DintGemm", "lm_head", "DintGemm"),
        ("/model/embed_tokens/QuantGather", "model.embed_tokens", "QuantGather"),
        ("/Sub", NO_LAYER, "Sub"),
        ("node_linear_3", NO_LAYER, "node_linear_3"),
        ("", NO_LAYER, ""),
    ],
)
def test_names_tell_layers(name: str, layer: str, rest: str) -> None:
    assert split_name(name) == (layer, rest)


def test_time_is_summed_by_operator_and_by_layer() -> None:
    nodes = [
        Node(node="/layers.0/q/DintGemm", op="DintGemm", calls=2, us=60),
        Node(node="/layers.0/Add", op="Add", calls=2, us=10),
        Node(node="/layers.1/q/DintGemm", op="DintGemm", calls=2, us=20),
        Node(node="/head/MatMul", op="MatMul", calls=0, us=0),
        Node(node="odd", op="Add", calls=1, us=10),
    ]
    by_operator, by_layer = groups("tg4", nodes)
    assert by_operator.headers[0] == "tg4, by operator"
    assert by_operator.rows == [
        ["DintGemm", "2", "4", "20.0", "80.0 %"],
        ["Add", "2", "3", "6.7", "20.0 %"],
        ["MatMul", "1", "0", "", "0.0 %"],
    ]
    assert by_layer.rows == [
        ["layers.0", "2", "35.0", "70.0 %", "q/DintGemm, 60.0 %"],
        ["layers.1", "1", "10.0", "20.0 %", "q/DintGemm, 20.0 %"],
        ["head", "1", "0.0", "0.0 %", "MatMul, 0.0 %"],
        [NO_LAYER, "1", "10.0", "10.0 %", "odd, 10.0 %"],
    ]


def test_names_without_modules_give_no_table_by_layer() -> None:
    assert [group.headers[0] for group in groups("row", [Node(node="a", op="Add", calls=1, us=1)])] == [
        "row, by operator"
    ]
    assert list(groups("row", [])) == []
