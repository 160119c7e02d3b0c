# SPDX-License-Identifier: Apache-2.0
"""The layers of a full-precision model in turn, each with what its inputs were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.calibration.activations import allocate
from edgeq.calibration.blocks import BlockRunner, find_blocks
from edgeq.calibration.observe import collect, input_groups
from edgeq.calibration.statistics import LayerStatistics
from edgeq.quantization.layers import as_matrix
from edgeq.quantization.loading import Load, materialize
from edgeq.quantization.skeleton import Target


@dataclass(frozen=True)
class Visit:
    """One layer.

    Attributes:
        target: The layer.
        group: Number of the input that it reads.
        block: Number of its block.
        module: Its module, with float32 weights.
        weight: Its weight as ``[N, K]``.
        statistics: Of its inputs.
    """

    target: Target
    group: int
    block: int
    module: nn.Module
    weight: Tensor
    statistics: LayerStatistics


@torch.no_grad()
def walk(
    model: Any, load: Load, ids: Tensor, targets: Sequence[Target], memory: int, scratch: Path, *, keep: bool
) -> Iterator[Visit]:
    """Visits the layers inside the blocks in the order in which they run; all layers before are unquantized.

    Args:
        model: A skeleton, or a model with weights.
        load: Reads a tensor that has no value yet.
        ids: Windows, int64 ``[samples, length]``.
        targets: Layers to visit; those outside the blocks, or that never run, are left out.
        memory: Bytes that activations may take before they lie in a file.
        scratch: Where that file is.
        keep: Keep all weights; otherwise a block gives its own back when it has been visited.
    """
    names, group = find_blocks(model), 0
    materialize(model, load, outside=tuple(names))
    materialize(model, load, inside=f"{names[0]}.")
    make = partial(allocate, budget=memory, directory=scratch)
    runner = BlockRunner.start(model, names, ids, make)
    for number, name in enumerate(names):
        materialize(model, load, inside=f"{name}.")
        block = model.get_submodule(name)
        inside = {t.name.removeprefix(f"{name}."): t for t in targets if t.name.startswith(f"{name}.")}
        for layers in input_groups(runner, block, name, inside):
            (statistics,) = collect(runner, block, name, [layers])
            for layer in layers:
                module = block.get_submodule(layer)
                weight = as_matrix(module.get_parameter("weight").detach(), inside[layer])
                yield Visit(inside[layer], group, number, module, weight, statistics)
            group += 1
        runner.advance(block, name)
        if not keep:
            _forget(block)


def _forget(block: nn.Module) -> None:
    def empty(module: nn.Module) -> None:
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(parameter.to("meta"), requires_grad=False))

    apply: Callable[[Callable[[nn.Module], None]], nn.Module] = block.apply
    apply(empty)
