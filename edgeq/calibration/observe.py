# SPDX-License-Identifier: Apache-2.0
"""What the linear layers of a block read while the calibration windows pass through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.calibration.blocks import BlockRunner
from edgeq.calibration.statistics import LayerStatistics, StatisticsAccumulator

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


def collect(runner: BlockRunner, block: nn.Module, name: str, groups: Sequence[Sequence[str]]) -> list[LayerStatistics]:
    """Statistics of the inputs of each group over all windows; the block is run as far as they need.

    Args:
        runner: Runs the block.
        block: The block, with weights.
        name: Its name in the model.
        groups: As `input_groups` gives them; consecutive ones.
    """
    firsts = [group[0] for group in groups]
    sums: dict[str, StatisticsAccumulator] = {}

    def observe(layer: str, inputs: Tensor) -> None:
        if layer not in sums:
            sums[layer] = StatisticsAccumulator(inputs.shape[-1])
        sums[layer].add(inputs)
        if layer == firsts[-1]:
            raise _EndOfObservation

    _watch(runner, block, name, firsts, observe, runner.slices())
    return [sums.pop(first).result() for first in firsts]


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
