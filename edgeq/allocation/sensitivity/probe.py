# SPDX-License-Identifier: Apache-2.0
"""How far a model's predictions move when one layer's weights are replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.calibration.blocks import find_blocks
from edgeq.errors import EdgeqError
from edgeq.quantization.layers import as_matrix
from edgeq.quantization.skeleton import Target

TOKENS = 2048
LOGIT_BYTES = 512_000_000
WINDOWS_PER_RUN = 8


class Probe:
    """The predictions of a full-precision model on a small sample, for comparison.

    The distance is the KL divergence from the full-precision model, in nats per token: to second order the change of
    its expected loss, without the noise that the first-order term adds on few tokens. (HIGGS, arXiv 2411.17525, uses it
    where there is no text; it works on any tokens.)

    Args:
        model: A causal language model of transformers with all its weights.
        ids: Windows, int64 ``[samples, length]``; so many are used that they hold `TOKENS` tokens.

    Raises:
        EdgeqError: The model predicts no next tokens.
    """

    def __init__(self, model: Any, ids: Tensor) -> None:
        if not getattr(model, "can_generate", lambda: False)():
            raise EdgeqError(
                "no predictions to compare",
                field="--sensitivity",
                found=type(model).__name__,
                wanted="a causal language model",
                remedy="use --sensitivity output",
            )
        self._model, self._names = model, find_blocks(model)
        tokens = min(TOKENS, LOGIT_BYTES // (4 * int(model.get_output_embeddings().weight.shape[0])))
        windows = ids[: max(1, tokens // ids.shape[1]), : max(8, tokens)]
        self._parts = windows.split(WINDOWS_PER_RUN)  # type: ignore[no-untyped-call]
        self._before: list[Any] = [None] * len(self._parts)
        self._reference = [self._log_probabilities(part, 0, None) for part in self._parts]

    @torch.no_grad()
    def begin_block(self, number: int) -> None:
        """Further calls concern layers of this block or later ones: what comes before it is computed once."""
        self._before = [None if number == 0 else self._output_of(number - 1, part) for part in self._parts]

    @torch.no_grad()
    def divergence(self, block: int, module: nn.Module, target: Target, matrix: Tensor) -> float:
        """KL divergence with other weights in one layer.

        Args:
            block: Number of its block; `begin_block` has been called for it.
            module: The layer.
            target: The layer.
            matrix: float32 ``[N, K]``.
        """
        parameter = module.get_parameter("weight")
        original = parameter.data
        parameter.data = as_matrix(matrix, target)
        try:
            total, count = 0.0, 0
            for part, before, reference in zip(self._parts, self._before, self._reference, strict=True):
                found = self._log_probabilities(part, block, before)
                total += float(((reference - found) * reference.exp()).sum(dtype=torch.float64))
                count += found[..., 0].numel()
            return max(total / count, 0.0)
        finally:
            parameter.data = original

    @torch.no_grad()
    def _log_probabilities(self, ids: Tensor, block: int, before: Any) -> Tensor:
        with self._beginning_at(block, before):
            logits: Tensor = self._model(input_ids=ids, use_cache=False).logits
        return logits.float().log_softmax(-1)

    def _output_of(self, block: int, ids: Tensor) -> Any:
        """What a block returns."""
        found: list[Any] = []
        handle = self._model.get_submodule(self._names[block]).register_forward_hook(
            lambda module, args, output: found.append(output)
        )
        try:
            self._model(input_ids=ids, use_cache=False)
        finally:
            handle.remove()
        return found[0]

    @contextmanager
    def _beginning_at(self, block: int, before: Any) -> Iterator[None]:
        """Blocks before ``block`` compute nothing and return what is known to come out of the last of them."""
        earlier = [] if before is None else [self._model.get_submodule(name) for name in self._names[:block]]
        for module in earlier:
            module.forward = _constant(before)
        try:
            yield
        finally:
            for module in earlier:
                del module.forward


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *args, **named: value
