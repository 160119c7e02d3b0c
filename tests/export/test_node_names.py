# SPDX-License-Identifier: Apache-2.0
"""Nodes are named by their module, each differently, after all passes."""

from __future__ import annotations

import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_module
from edgeq.schemes import Scheme
from edgeq_export.decoder import trace_decoder
from edgeq_export.fusion import fuse_products
from edgeq_export.node_names import NAME_SCOPES, inherit_module, module_of, name_nodes
from edgeq_export.portable import make_portable
from tests.export.tiny_models import tiny_model


def node(*scopes: str, name: str = "", operator: str = "MatMul") -> ir.Node:
    """A node as PyTorch's exporter describes it."""
    metadata = {NAME_SCOPES: repr(["", *scopes, "linear_1"])} if scopes else {}
    return ir.Node("", operator, [], num_outputs=1, name=name or None, metadata_props=metadata)


def model_of(*nodes: ir.Node) -> ir.Model:
    """A graph of these nodes."""
    return ir.Model(ir.Graph([], [], nodes=nodes, opset_imports={"": 23}), ir_version=10)


@pytest.mark.parametrize(
    ("modules", "merged"),
    [
        (["a.0.q_proj", "a.0.k_proj", "a.0.v_proj"], "a.0.qkv_proj"),
        (["a.gate_proj", "a.up_proj"], "a.gate_up_proj"),
        (["attention.query", "attention.key", "attention.value"], "attention.query_key_value"),
        (["h.0.attn.qkv", "h.0.mlp.fc_in"], "h.0.qkv_fc_in"),
        (["a.b", "a.b"], "a.b"),
    ],
)
def test_merged_modules(modules: list[str], merged: str) -> None:
    fused = node()
    inherit_module(fused, [node(module) for module in modules])
    assert module_of(fused) == merged


def test_the_name_of_a_node_tells_its_module_where_metadata_do_not() -> None:
    fused = node(operator="DintGemm")
    inherit_module(fused, [node(name=f"/layers.0/attn/{part}_proj/MatMul") for part in "qkv"])
    name_nodes(model_of(fused))
    assert fused.name == "/layers.0/attn/qkv_proj/DintGemm"


def test_slices_of_a_list_of_modules_are_left_out() -> None:
    sliced = node("model", "model.model.layers.slice(None, 5, None).2.mlp.up_proj")
    name_nodes(model_of(sliced), wrapper="model")
    assert sliced.name == "/model/layers.2/mlp/up_proj/MatMul"


@pytest.mark.parametrize("metadata", ["", "[", "{}", "['x']", "7"])
def test_other_metadata_name_nothing(metadata: str) -> None:
    odd = node(name="kept")
    odd.metadata_props[NAME_SCOPES] = metadata
    name_nodes(model_of(odd))
    assert odd.name == "kept"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "a.1", "a.0.b"]), st.sampled_from(["Add", "Add_1"]))))
def test_names_differ(made: list[tuple[bool, str, str]]) -> None:
    """Whatever names the nodes had that keep theirs, as long as those differed."""
    nodes = []
    for index, (known, module, operator) in enumerate(made):
        kept = f"/{module}/{operator}" if index == 0 else f"kept{index}"
        nodes.append(node(module, operator=operator) if known else node(name=kept))
    name_nodes(model_of(*nodes))
    names = [each.name for each in nodes]
    assert len(set(names)) == len(names)


@pytest.fixture(scope="module")
def traced() -> ir.Model:
    """A quantized decoder's graph before the passes."""
    model = tiny_model("llama")
    quantize_module(model, Plan.build(Scheme.parse("w4g32")))
    return trace_decoder(model)


@pytest.fixture(params=[fuse_products, make_portable])
def named(traced: ir.Model, request: pytest.FixtureRequest) -> list[ir.Node]:
    """The nodes of a bundle's graph."""
    model = traced.clone()
    request.param(model)
    name_nodes(model, wrapper="model")
    return list(model.graph)


def test_all_nodes_of_a_decoder_are_named_by_module_and_operator(named: list[ir.Node]) -> None:
    names = [str(each.name) for each in named]
    assert len(set(names)) == len(names)
    modules = {name.split("/")[1] for name in names if name.count("/") > 1}
    assert modules == {"model", "lm_head"}
    for each, name in zip(named, names, strict=True):
        assert name.startswith("/")
        assert name.rpartition("/")[2].split("_")[0] == each.op_type


def test_products_of_a_decoder(named: list[ir.Node]) -> None:
    products = {str(each.name) for each in named if each.op_type in ("DintGemm", "MatMulNBits")}
    fused = any(each.op_type == "DintGemm" for each in named)
    operator, parts = ("DintGemm", ["qkv"]) if fused else ("MatMulNBits", ["q", "k", "v"])
    gates = ["gate_up"] if fused else ["gate", "up"]
    assert {f"/model/layers.0/self_attn/{part}_proj/{operator}" for part in [*parts, "o"]} <= products
    assert {f"/model/layers.1/mlp/{part}_proj/{operator}" for part in [*gates, "down"]} <= products
    assert f"/lm_head/{operator}" in products
