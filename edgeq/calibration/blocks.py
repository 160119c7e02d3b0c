# SPDX-License-Identifier: Apache-2.0
"""A transformer as a row of blocks: what goes into the first, and how each one is run on the calibration windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from edgeq.errors import EdgeqError

TOKENS_PER_BATCH = 4096
Allocate = Callable[[tuple[int, ...]], Tensor]


def find_blocks(model: nn.Module) -> list[str]:
    """Names of the transformer's blocks, in order: the list of modules that holds most of the linear layers.

    Raises:
        EdgeqError: There is no such list.
    """
    lists = {name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    counts = {name: sum(isinstance(m, nn.Linear | Conv1D) for m in lists[name].modules()) for name in lists}
    name = max(counts, key=lambda key: counts[key], default="")
    if not counts.get(name):
        raise EdgeqError("no transformer blocks", found=type(model).__name__, remedy="use --method rtn")
    return [f"{name}.{index}" for index in range(len(lists[name]))]


class _EndOfCapture(Exception):  # noqa: N818 (not an error)
    pass


@dataclass
class BlockRunner:
    """The calibration windows on their way through the blocks.

    Attributes:
        hidden: Inputs of the next block, float32 ``[samples, length, width]``.
        batch: Windows per run.
        arguments: By block name and number of windows: the further arguments that the model gives the block.
    """

    hidden: Tensor
    batch: int
    arguments: dict[tuple[str, int], tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    @torch.no_grad()
    def start(cls, model: nn.Module, names: list[str], ids: Tensor, allocate: Allocate) -> BlockRunner:
        """Runs the model up to its first block.

        Args:
            model: Everything outside its blocks, and the first block, must have weights.
            names: Names of the blocks.
            ids: Token ids, int64 ``[samples, length]``.
            allocate: Makes room for the inputs of the blocks.
        """
        batch = max(1, TOKENS_PER_BATCH // ids.shape[1])
        runner: BlockRunner | None = None
        for first in range(0, len(ids), batch):
            windows = ids[first : first + batch]
            hidden = _first_inputs(model, names[0], windows)
            runner = runner or cls(allocate((*ids.shape, hidden.shape[-1])), batch)
            runner.hidden[first : first + batch] = hidden
            if (names[0], len(windows)) not in runner.arguments:
                runner.arguments |= _record_arguments(model, names, windows)
        assert runner is not None
        return runner

    def slices(self) -> Iterator[slice]:
        """The windows of each run."""
        for first in range(0, len(self.hidden), self.batch):
            yield slice(first, min(first + self.batch, len(self.hidden)))

    def run(self, block: Callable[..., Any], name: str, hidden: Tensor) -> Tensor:
        """The output of a block for some windows, ``[windows, length, width]``."""
        rest, named = self.arguments[name, len(hidden)]
        output = block(hidden, *rest, **named)
        result: Tensor = output[0] if isinstance(output, tuple) else output
        return result

    @torch.no_grad()
    def advance(self, block: nn.Module, name: str) -> None:
        """Replaces the inputs of a block by its outputs."""
        for part in self.slices():
            self.hidden[part] = self.run(block, name, self.hidden[part])


def _call(model: Any, ids: Tensor) -> None:
    # Without a mask every token counts, and attention needs none in memory.
    model(input_ids=ids, **({"use_cache": False} if model.can_generate() else {}))


def _first_inputs(model: nn.Module, name: str, ids: Tensor) -> Tensor:
    captured: list[Tensor] = []

    def capture(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        captured.append(_split_arguments(args, named)[0])
        raise _EndOfCapture

    handle = model.get_submodule(name).register_forward_pre_hook(capture, with_kwargs=True)
    try:
        _call(model, ids)
    except _EndOfCapture:
        pass
    finally:
        handle.remove()
    return captured[0]


def _record_arguments(
    model: nn.Module, names: list[str], ids: Tensor
) -> dict[tuple[str, int], tuple[tuple[Any, ...], dict[str, Any]]]:
    """What each block is called with besides the hidden states; only the first block is computed."""
    recorded: dict[tuple[str, int], tuple[tuple[Any, ...], dict[str, Any]]] = {}
    is_tuple = False

    def record(name: str, forward: Callable[..., Any], *args: Any, **named: Any) -> Any:
        nonlocal is_tuple
        hidden, rest, others = _split_arguments(args, named)
        recorded[name, len(ids)] = rest, others
        if name == names[0]:
            output = forward(*args, **named)
            is_tuple = isinstance(output, tuple)
        return (hidden,) if is_tuple else hidden

    with _replaced_forwards(model, names, record):
        _call(model, ids)
    return recorded


def _split_arguments(args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Tensor, tuple[Any, ...], dict[str, Any]]:
    """Hidden states, further positional and further named arguments."""
    if args:
        return args[0], args[1:], named
    others = dict(named)
    return others.pop("hidden_states"), (), others


@contextmanager
def _replaced_forwards(model: nn.Module, names: list[str], record: Callable[..., Any]) -> Iterator[None]:
    blocks = {name: model.get_submodule(name) for name in names}

    def wrap(name: str, block: nn.Module) -> None:
        forward = block.forward
        block.forward = lambda *args, **named: record(name, forward, *args, **named)

    for name, block in blocks.items():
        wrap(name, block)
    try:
        yield
    finally:
        for block in blocks.values():
            del block.forward
