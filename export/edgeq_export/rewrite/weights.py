# SPDX-License-Identifier: Apache-2.0
"""The constant matrices of a graph, each with all its uses: what is quantized once and shared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from edgeq.bundle.manifest import LayerRecord
from edgeq.errors import EdgeqError
from edgeq.formats import Format
from edgeq.quantization.operators import Attributes, gather_operator, matmul_operator
from edgeq.quantization.plan import Plan
from edgeq.schemes import Scheme
from edgeq_export.rewrite.matching import Use
from edgeq_export.rewrite.names import layer_names


@dataclass
class Weight:
    """A matrix ``[rows, columns]`` (N output features or rows of a table, K inputs or its width).

    Attributes:
        initializer: Where its values lie.
        transposed: Whether they lie as ``[columns, rows]``.
        uses: The nodes that read it.
    """

    initializer: ir.Value
    transposed: bool
    uses: list[Use]

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, columns)``."""
        return self.uses[0].shape

    @property
    def names(self) -> list[str]:
        """All its layer names, the best one first."""
        return list(dict.fromkeys(name for use in self.uses for name in layer_names(use.weight, use.node)))

    @property
    def gathers(self) -> bool:
        """Whether it is an embedding."""
        return any(use.gathers for use in self.uses)

    @property
    def is_vocabulary(self) -> bool:
        """Whether it is a token embedding or an output head."""
        return self.gathers or any(name.endswith("lm_head") for name in self.names) or self._makes("logits")

    def scheme(self, plan: Plan) -> Scheme:
        """Its scheme in a plan."""
        return plan.scheme_for(*self.names, vocabulary=self.is_vocabulary)

    def _makes(self, output: str) -> bool:
        return any(use.output.is_graph_output() and use.output.name == output for use in self.uses)

    @property
    def nbytes(self) -> int:
        """Its size in the model."""
        assert self.initializer.const_value is not None
        return self.initializer.const_value.nbytes

    def view(self) -> NDArray[np.generic]:
        """The stored values as ``[rows, columns]``, not copied."""
        assert self.initializer.const_value is not None
        values = self.initializer.const_value.numpy()
        return values.T if self.transposed else values

    def pack(self, fmt: Format, plan: Plan) -> NDArray[np.uint8]:
        """The packed weight, uint8 ``[packed_size]``; 16-bit values are widened exactly.

        Raises:
            EdgeqError: The values cannot be quantized, e.g. because one is not finite.
        """
        values = np.array(self.view(), dtype=np.float32, order="C")
        try:
            result = plan.pipeline_for(vocabulary=self.is_vocabulary).quantize(torch.from_numpy(values), fmt, None)
            return fmt.pack(result.tensor)  # type: ignore[arg-type]
        except EdgeqError as error:
            remedy = f"keep it in float with --skip '{self.names[0]}'"
            raise EdgeqError(
                error.problem, field=self.names[0], found=error.found, wanted=error.wanted, remedy=remedy
            ) from error

    def operator(self, use: Use, scheme: Scheme) -> tuple[str, Attributes]:
        """Operator type and attributes for one of the uses.

        Raises:
            EdgeqError: There is no operator for the scheme.
        """
        assert scheme.weights is not None
        if use.gathers:
            return gather_operator(scheme.weights, *self.shape)
        return matmul_operator(scheme.weights, *self.shape, scheme.activation_bits, scheme.activation_mode)

    def record(self, name: str, scheme: Scheme) -> LayerRecord:
        """The manifest's record."""
        rows, columns = self.shape
        if scheme.weights is None:
            operators = [use.node.op_type for use in self.uses]
            size = self.nbytes
        else:
            operators = [self.operator(use, scheme)[0] for use in self.uses]
            size = scheme.weights.packed_size(rows, columns)
        unique = list(dict.fromkeys(operators))
        return LayerRecord(name=name, operators=unique, scheme=str(scheme), rows=rows, columns=columns, size=size)


def collect_weights(uses: Iterable[Use]) -> list[Weight]:
    """Groups uses by matrix. A head that stores the transpose of the embedding becomes one with it."""
    weights: dict[tuple[ir.Value, bool], Weight] = {}
    for use in uses:
        key = (use.weight, use.transposed)
        weights.setdefault(key, Weight(use.weight, use.transposed, [])).uses.append(use)
    found = list(weights.values())
    for embedding in [weight for weight in found if weight.gathers]:
        for head in [weight for weight in found if not weight.gathers and _equal(weight, embedding)]:
            embedding.uses += head.uses
            found.remove(head)
    return found


def _equal(first: Weight, second: Weight) -> bool:
    if first.shape != second.shape:
        return False
    one, other = first.view(), second.view()
    return np.array_equal(one[:1], other[:1]) and np.array_equal(one, other)
