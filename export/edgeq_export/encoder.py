# SPDX-License-Identifier: Apache-2.0
"""A transformers encoder as one ONNX graph: token ids to hidden states."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, nn

from edgeq.errors import EdgeqError
from edgeq_export.factors import widen_factors
from edgeq_export.quiet import quiet_tracing

# scaled_dot_product_attention becomes ONNX's own Attention, which opset 23 has. On ONNX Runtime 1.31 (CPU, MiniLM's
# shapes, padded batches) it is as fast as com.microsoft.MultiHeadAttention or faster, and faster than its parts.
OPSET = 23
BATCH, LENGTH = 2, 5  # example sizes; sizes of 1 would be taken for constants
OUTPUT = "last_hidden_state"

# Model types whose hidden states agree with PyTorch in tests/export/test_encoder.py.
ENCODERS = ("bert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")


class FlatEncoder(nn.Module):
    """An encoder with tensors alone as inputs and output.

    Args:
        model: A transformers encoder.
        names: Its inputs, in order.
    """

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """int64 ``[batch, length]`` each, to float32 ``[batch, length, width]``."""
        hidden = self.model(**dict(zip(self.names, inputs, strict=True))).last_hidden_state
        assert isinstance(hidden, Tensor)
        return hidden


def check_encoder(config: Any, file: Path | None = None) -> None:
    """Checks that an encoder can be exported.

    Raises:
        EdgeqError: The architecture is not among the encoders that can be exported, or is set up as a decoder.
    """
    if config.model_type not in ENCODERS:
        raise EdgeqError(
            "unknown encoder",
            file=file,
            field="model_type",
            found=config.model_type,
            wanted=", ".join(ENCODERS),
            remedy="export it to ONNX first (optimum-cli export onnx), then give edgeq the .onnx file",
        )
    if getattr(config, "is_decoder", False):
        raise EdgeqError("not an encoder", file=file, field="is_decoder", found=True, wanted=False)


def encoder_inputs(model: nn.Module) -> list[str]:
    """Names of the graph's inputs; token types only where the model tells any apart."""
    names = ["input_ids", "attention_mask"]
    takes_types = "token_type_ids" in inspect.signature(model.forward).parameters
    has_types = getattr(model.config, "type_vocab_size", 1) > 1
    return [*names, "token_type_ids"] if takes_types and has_types else names


def trace_encoder(model: nn.Module) -> ir.Model:
    """Traces an encoder, quantized or not.

    Args:
        model: A transformers encoder in evaluation mode; its attention implementation must be ``sdpa``.

    Returns:
        A graph from int64 ``[batch_size, sequence_length]`` (`encoder_inputs`) to ``last_hidden_state``, float32
        ``[batch_size, sequence_length, width]``. Pooling and normalization are left to the caller.

    Raises:
        EdgeqError: The architecture cannot be exported.
    """
    check_encoder(model.config)
    names = encoder_inputs(model)
    dynamic = {0: torch.export.Dim("batch_size"), 1: torch.export.Dim("sequence_length")}
    with torch.no_grad(), quiet_tracing():
        program = torch.onnx.export(
            FlatEncoder(model, names),
            tuple(torch.ones(BATCH, LENGTH, dtype=torch.int64) for _ in names),
            dynamo=True,
            opset_version=OPSET,
            input_names=names,
            output_names=[OUTPUT],
            dynamic_shapes=(tuple(dynamic for _ in names),),
            verbose=False,
        )
    assert program is not None
    widen_factors(program.model)
    for value in list(program.model.graph.initializers.values()):
        value.name = str(value.name).removeprefix("model.")  # the name in the checkpoint, not that in `FlatEncoder`
    return program.model
