# SPDX-License-Identifier: Apache-2.0
"""Which nodes multiply by, or look up rows of, a constant matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import onnx_ir as ir

FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
_ONNX_DOMAINS = ("", "ai.onnx")
# Operators that hand token ids on without computing new ones.
_RELAYS = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Use:
    """A node that reads a constant matrix.

    Attributes:
        node: MatMul, Gemm or Gather.
        weight: The initializer.
        transposed: Whether the initializer is the transpose of ``[N, K]``.
        dtype: Type of the matrix as the node sees it, and so of activations and result.
        add: The Add of a constant bias to the product of a MatMul, if there is one.
    """

    node: ir.Node
    weight: ir.Value
    transposed: bool
    dtype: ir.DataType
    add: ir.Node | None = None

    @property
    def data(self) -> ir.Value:
        """Activations or indices, as they are now: other replacements may have changed them."""
        value = self.node.inputs[1 if self.gathers else 0]
        assert value is not None
        return value

    @property
    def bias(self) -> ir.Value | None:
        """What is added to the product, if anything."""
        if self.add is not None:
            return next(value for value in self.add.inputs if value is not self.node.outputs[0])
        return self.node.inputs[2] if self.node.op_type == "Gemm" and len(self.node.inputs) > 2 else None

    @property
    def output(self) -> ir.Value:
        """The result, bias included."""
        return (self.add or self.node).outputs[0]

    @property
    def gathers(self) -> bool:
        """Whether rows are looked up, not multiplied by."""
        return self.node.op_type == "Gather"

    @property
    def shape(self) -> tuple[int, int]:
        """``(N, K)``."""
        assert self.weight.const_value is not None
        first, second = self.weight.const_value.shape.numpy()  # checked to be a matrix
        return (second, first) if self.transposed else (first, second)


@dataclass(frozen=True)
class Refusal:
    """Why a constant that a MatMul, Gemm or Gather reads stays as it is."""

    weight: ir.Value
    reason: str


def match(node: ir.Node) -> Use | Refusal | None:
    """A node's use of a constant matrix, or why it cannot be replaced; ``None`` where there is no constant."""
    matcher = _MATCHERS.get(node.op_type) if node.domain in _ONNX_DOMAINS else None
    return matcher(node) if matcher else None


@dataclass(frozen=True)
class Constant:
    """An initializer and what lies between it and its reader."""

    weight: ir.Value
    transposed: bool
    dtype: ir.DataType

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the initializer itself."""
        assert self.weight.const_value is not None
        return tuple(self.weight.const_value.shape.numpy())


def find_constant(value: ir.Value | None) -> Constant | None:
    """The initializer behind a value: itself, or through Transpose of two axes and Cast between floats."""
    transposed, dtype = False, None
    while value is not None and not value.is_initializer():
        node = value.producer()
        if node is None or not relays_constant(node):
            return None
        if node.op_type == "Transpose":
            transposed = not transposed
        elif dtype is None:
            dtype = ir.DataType(node.attributes["to"].as_int())
        value = node.inputs[0]
    if value is None or value.const_value is None:
        return None
    return Constant(value, transposed, dtype or value.const_value.dtype)


def relays_constant(node: ir.Node) -> bool:
    """Whether a node only transposes a matrix or casts it from one float type to another."""
    if node.domain not in _ONNX_DOMAINS:
        return False
    if node.op_type == "Transpose":
        return list(node.attributes.get_ints("perm", [1, 0])) == [1, 0]
    return node.op_type == "Cast" and ir.DataType(node.attributes["to"].as_int()) in FLOATS


def _match_matmul(node: ir.Node) -> Use | Refusal | None:
    data, operand = node.inputs
    constant = find_constant(operand)
    if constant is None:
        left = find_constant(data)
        return None if left is None else Refusal(left.weight, "it is the left operand of MatMul")
    if reason := _unfit(constant):
        return Refusal(constant.weight, reason)
    return _with_added_bias(Use(node, constant.weight, not constant.transposed, constant.dtype))


def _match_gemm(node: ir.Node) -> Use | Refusal | None:
    constant = find_constant(node.inputs[1])
    if constant is None:
        return None
    attributes = node.attributes
    fixed = {"alpha": attributes.get_float("alpha", 1.0), "beta": attributes.get_float("beta", 1.0)}
    odd = [f"{name} = {value:g}" for name, value in fixed.items() if value != 1.0]
    odd += ["transA = 1"] if attributes.get_int("transA", 0) else []
    if reason := _unfit(constant) or (f"Gemm has {' and '.join(odd)}" if odd else None):
        return Refusal(constant.weight, reason)
    transposed = constant.transposed != (not attributes.get_int("transB", 0))
    return Use(node, constant.weight, transposed, constant.dtype)


def _match_gather(node: ir.Node) -> Use | Refusal | None:
    operand, indices = node.inputs
    constant = find_constant(operand)
    if constant is None or constant.dtype not in FLOATS:
        return None
    reason = _unfit(constant)
    if not reason and node.attributes.get_int("axis", 0) != 0:
        reason = "Gather is not along the rows"
    if not reason and constant.transposed:
        reason = "Gather reads columns"
    if not reason and not _are_ids(indices):
        reason = "Gather's indices are not a model input, or are positions; such tables are small and sensitive"
    if reason:
        return Refusal(constant.weight, reason)
    return Use(node, constant.weight, False, constant.dtype)


_MATCHERS: dict[str, Callable[[ir.Node], Use | Refusal | None]] = {
    "MatMul": _match_matmul,
    "Gemm": _match_gemm,
    "Gather": _match_gather,
}


def _unfit(constant: Constant) -> str | None:
    tensor = constant.weight.const_value
    assert tensor is not None
    if constant.weight.is_graph_input():
        return "it is a model input too, which a caller may override"
    if constant.weight.is_graph_output():
        return "it is a model output too"
    if tensor.dtype not in FLOATS:
        return f"its type is {tensor.dtype.name.lower()}, not a float of 16 or 32 bits"
    if len(tensor.shape) != 2:
        return f"it has {len(tensor.shape)} dimensions, not 2"
    return "it is empty" if 0 in tensor.shape else None


def _with_added_bias(use: Use) -> Use:
    """Takes a following Add of a constant ``[N]`` into the use, if nothing else reads the product."""
    product = use.node.outputs[0]
    readers = [usage.node for usage in product.uses()]
    if (
        len(readers) != 1
        or product.is_graph_output()
        or readers[0].op_type != "Add"
        or readers[0].graph is not use.node.graph
    ):
        return use
    add = readers[0]
    other = next((value for value in add.inputs if value is not product), None)
    bias = find_constant(other)
    if bias is None or bias.shape != (use.shape[0],) or bias.weight.is_graph_input():
        return use
    return replace(use, add=add)


def _are_ids(value: ir.Value | None) -> bool:
    """Whether indices are ids that a caller gives: never negative, which QuantGather, unlike Gather, refuses."""
    while value is not None and not value.is_graph_input():
        node = value.producer()
        if node is None or node.op_type not in _RELAYS:
            return False
        value = node.inputs[0]
    return value is not None and "position" not in str(value.name)
