# SPDX-License-Identifier: Apache-2.0
"""The diagonal of the empirical Fisher information: how much the loss minds a change of each weight.

Source: SqueezeLLM (arXiv 2306.07629), section 4.1: the mean over calibration windows of the squared gradient of the
loss, at the full-precision weights. The model is needed as a whole, with as much room again for the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.errors import EdgeqError
from edgeq.progress import Progress


def fisher_diagonals(
    model: nn.Module, ids: Tensor, layers: Iterable[str], progress: Progress | None = None
) -> dict[str, Tensor]:
    """Squared gradients of the mean loss of next tokens, averaged over windows.

    Args:
        model: A causal language model of transformers with all its weights in float32.
        ids: Token ids, int64 ``[samples, length]``; a window is a sample.
        layers: Names of layers.
        progress: Told the stage ``sensitivities`` and its windows.

    Returns:
        By layer name, float32 in the shape of its weight.

    Raises:
        EdgeqError: The model predicts no next tokens.
    """
    if not getattr(model, "can_generate", lambda: False)():
        raise EdgeqError(
            "no loss to differentiate", found=type(model).__name__, wanted="a causal language model", field="fisher"
        )
    weights = {name: model.get_submodule(name).get_parameter("weight") for name in layers}
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    with ExitStack() as stack:
        for name, weight in weights.items():
            stack.enter_context(_collecting(weight, sums[name]))
        for step, window in enumerate(ids):
            _loss(model, window.unsqueeze(0)).backward()  # type: ignore[no-untyped-call]
            if progress:
                progress("sensitivities", step + 1, len(ids))
    return {name: total.div_(len(ids)) for name, total in sums.items()}


@contextmanager
def _collecting(weight: nn.Parameter, total: Tensor) -> Iterator[None]:
    required = weight.requires_grad
    weight.requires_grad_(True)
    handle = weight.register_post_accumulate_grad_hook(_collector(total))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        handle.remove()
        weight.requires_grad_(required)


def _collector(total: Tensor) -> Callable[[Tensor], None]:
    def collect(weight: Tensor) -> None:
        assert weight.grad is not None
        total.addcmul_(weight.grad, weight.grad)
        weight.grad = None  # no gradient outlives its layer's turn

    return collect


@torch.enable_grad()
def _loss(model: Any, window: Tensor) -> Tensor:
    logits = model(input_ids=window, use_cache=False).logits
    loss: Tensor = nn.functional.cross_entropy(logits[0, :-1].float(), window[0, 1:])
    return loss
