# SPDX-License-Identifier: Apache-2.0
"""What the linear layers of a block read while the calibration windows pass through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.calibration.blocks import BlockRunner
from edgeq.calibration.statistics import LayerStatistics, StatisticsAccumulator
from edgeq.errors import EdgeqError

Observe = Callable[[str, Tensor], None]


class _EndOfObservation(Exception):  # noqa: N818 (not an error)
    pass


def input_groups(runner: BlockRunner, block: nn.Module, name: str, layers: Iterable[str]) -> list[list[str]]:
    """Layers that read the same tensor, in the order in which they run, e.g. [[q, k, v], [o], [gate, up], [down]].

    Args:
        runner: Runs the block.
        block: The block, with weights.
        name: Its name in the model.
        layers: Names of layers inside the block.

    Returns:
        Groups of names; layers that never run are in none.
    """
    seen: list[tuple[Tensor, list[str]]] = []

    def observe(layer: str, inputs: Tensor) -> None:
        if seen and seen[-1][0] is inputs:
            seen[-1][1].append(layer)
        else:
            seen.append((inputs, [layer]))

    _watch(runner, block, name, layers, observe, [next(runner.slices())])
    return [group for _, group in seen]


def collect(
    runner: BlockRunner, block: nn.Module, name: str, groups: Sequence[Sequence[str]], rows: int = 0
) -> list[LayerStatistics]:
    """Statistics of the inputs of each group over all windows; the block is run as far as they need.

    Args:
        runner: Runs the block.
        block: The block, with weights.
        name: Its name in the model.
        groups: As `input_groups` gives them; consecutive ones.
        rows: About how many rows of inputs to keep beside the sums, spread over all windows; 0: none.

    Raises:
        EdgeqError: An input is NaN or infinite; the layer is named.
    """
    firsts = [group[0] for group in groups]
    sums: dict[str, StatisticsAccumulator] = {}
    # Odd, so that windows of a power of two give rows from all their places.
    stride = runner.hidden[..., 0].numel() // rows | 1 if rows else 0

    def observe(layer: str, inputs: Tensor) -> None:
        if layer not in sums:
            sums[layer] = StatisticsAccumulator(inputs.shape[-1], stride)
        sums[layer].add(inputs)
        if layer == firsts[-1]:
            raise _EndOfObservation

    _watch(runner, block, name, firsts, observe, runner.slices())
    return [_finite(sums.pop(first).result(), f"{name}.{first}") for first in firsts]


def _finite(statistics: LayerStatistics, layer: str) -> LayerStatistics:
    if not (torch.isfinite(statistics.absmax).all() and torch.isfinite(statistics.diagonal).all()):
        raise EdgeqError(
            "activations are not finite",
            field=f"inputs of {layer}",
            found="NaN, infinity, or squares beyond float32",
            wanted="finite activations",
            remedy="check the checkpoint; a layer before this one overflows or holds weights that are not finite",
        )
    return statistics


@torch.no_grad()
def _watch(
    runner: BlockRunner, block: nn.Module, name: str, layers: Iterable[str], observe: Observe, parts: Iterable[slice]
) -> None:
    def hook(layer: str) -> Callable[..., None]:
        def called(_: nn.Module, args: tuple[Any, ...]) -> None:
            observe(layer, args[0])

        return called

    handles = [block.get_submodule(layer).register_forward_pre_hook(hook(layer)) for layer in layers]
    try:
        for part in parts:
            try:
                runner.run(block, name, runner.hidden[part])
            except _EndOfObservation:
                continue
    finally:
        for handle in handles:
            handle.remove()
