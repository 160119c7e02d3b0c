# SPDX-License-Identifier: Apache-2.0
"""What a block calls a module inside it with, kept for a few windows so that the module can be run again on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.calibration.blocks import BlockRunner


class _EndOfCall(Exception):  # noqa: N818 (not an error)
    pass


@dataclass(frozen=True)
class ModuleCall:
    """A call of a module.

    Attributes:
        arguments: By position.
        named: By name.
    """

    arguments: tuple[Any, ...]
    named: dict[str, Any]

    @torch.no_grad()
    def run(self, module: Callable[..., Any]) -> Tensor:
        """What the module puts out, the first of several things."""
        output = module(*self.arguments, **self.named)
        result: Tensor = output[0] if isinstance(output, tuple) else output
        return result


@torch.no_grad()
def capture_call(runner: BlockRunner, block: nn.Module, name: str, module: str, tokens: int) -> ModuleCall:
    """The call of a module on windows of the first run.

    Args:
        runner: Runs the block.
        block: The block, with weights.
        name: Its name in the model.
        module: Name of the module inside the block.
        tokens: Windows are taken up to so many tokens, but at least one.
    """
    part = next(runner.slices())
    windows, length = runner.hidden[part].shape[:2]
    kept = min(windows, max(1, tokens // length))
    index = torch.arange(kept) * windows // kept
    calls: list[ModuleCall] = []

    def capture(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        calls.append(ModuleCall(_choose(arguments, windows, index), _choose(named, windows, index)))
        raise _EndOfCall

    handle = block.get_submodule(module).register_forward_pre_hook(capture, with_kwargs=True)
    try:
        runner.run(block, name, runner.hidden[part])
    except _EndOfCall:
        pass
    finally:
        handle.remove()
    return calls[0]


def _choose(value: Any, windows: int, index: Tensor) -> Any:
    """Some of the windows; what is shared by all of them stays (positions of one dimension among it)."""
    if isinstance(value, Tensor):
        return value[index] if value.ndim > 1 and len(value) == windows else value
    if isinstance(value, tuple | list):
        return type(value)(_choose(item, windows, index) for item in value)
    if isinstance(value, dict):
        return {key: _choose(item, windows, index) for key, item in value.items()}
    return value
