# SPDX-License-Identifier: Apache-2.0
"""The calibration length by validation: which length's statistics serve windows of all lengths best.

The first two blocks are quantized as the plan says, once for each candidate length, with the same number of calibration
tokens each time; then they read held-out windows of every candidate length. The error of a length is
‖B̂(x) − B(x)‖² / ‖B(x)‖² of these blocks' outputs with rounded weights and activations, averaged over the lengths of the
windows. It is a proxy: later blocks are not looked at, and all lengths of use count alike.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from edgeq.calibration.blocks import BlockRunner, find_blocks
from edgeq.calibration.data import WindowSource, context_length
from edgeq.calibration.task_lengths import LengthChoice
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.quantization.block import BlockQuantizer
from edgeq.quantization.layers import scheme_of
from edgeq.quantization.loading import checkpoint_loader, materialize
from edgeq.quantization.plan import Plan
from edgeq.quantization.preparation import activation_quantizers, rounding_inputs
from edgeq.quantization.skeleton import build_skeleton, find_targets

CANDIDATES = (64, 128, 512, 2048)
BLOCKS = 2
HELD_OUT = 0.25  # share of the calibration text
CALIBRATION_TOKENS, VALIDATION_TOKENS = 16384, 8192


def search_length(checkpoint: Checkpoint, plan: Plan, source: WindowSource, seed: int = 0) -> LengthChoice:
    """The candidate length of least validation error, within the model's context and the text.

    Args:
        checkpoint: The model.
        plan: Schemes and methods.
        source: The calibration text.
        seed: What windows are drawn with.

    Raises:
        EdgeqError: The text holds too little, or a method cannot work on single blocks.
    """
    if plan.pipeline.wants_fisher:
        raise EdgeqError(
            "takes the whole model", field="--length auto", found=str(plan.pipeline), wanted="--task-lengths"
        )
    fitted, held_out = source.split(1 - HELD_OUT)
    context = context_length(checkpoint.config)
    shortest = min(fitted.tokens, held_out.tokens)
    lengths = [length for length in CANDIDATES if length <= min(context, shortest)]
    if not lengths:
        raise EdgeqError(
            "calibration too short",
            file=source.file,
            field="--length auto",
            found=f"{held_out.tokens} held-out tokens, context {context}",
            wanted=f"at least {CANDIDATES[0]} of both",
            remedy="give more text, or a --length",
        )
    if len(lengths) == 1:
        return LengthChoice(lengths[0], "the only candidate within context and text")
    probe = _Probe(checkpoint, plan, [held_out.draw(n, VALIDATION_TOKENS // n, seed).ids for n in lengths])
    errors = {n: probe.error(torch.from_numpy(fitted.draw(n, CALIBRATION_TOKENS // n, seed).ids)) for n in lengths}
    best = min(lengths, key=lambda length: errors[length])
    named = ", ".join(f"{length}: {100 * error:.3f} %" for length, error in errors.items())
    return LengthChoice(best, f"least error on held-out windows of these lengths ({named})", errors)


class _Probe:
    """The first blocks of a model, and what they put out on the held-out windows."""

    def __init__(self, checkpoint: Checkpoint, plan: Plan, windows: Sequence[object]) -> None:
        self.plan, self.model = plan, build_skeleton(checkpoint)
        self.names = find_blocks(self.model)
        self.probed = self.names[:BLOCKS]
        self.targets = find_targets(self.model)
        load = checkpoint_loader(self.model, checkpoint)
        materialize(self.model, load, outside=tuple(self.names))
        for name in self.probed:
            materialize(self.model, load, inside=f"{name}.")
        self.runners = [self._start(torch.as_tensor(ids)) for ids in windows]
        originals = [self.model.get_submodule(name) for name in self.probed]
        self.wanted = [self._outputs(runner, originals) for runner in self.runners]

    def error(self, ids: Tensor) -> float:
        """The mean error after calibration with some windows."""
        runner = self._start(ids)
        blocks = []
        with ExitStack() as stack:
            for name in self.probed:
                block = copy.deepcopy(self.model.get_submodule(name))
                targets = [target for target in self.targets if target.name.startswith(f"{name}.")]
                BlockQuantizer(self.plan, runner, block, name, targets, self.model.config).quantize(lambda _: None)
                schemes = {t.name.removeprefix(f"{name}."): scheme_of(self.plan, t) for t in targets}
                stack.enter_context(rounding_inputs(block, activation_quantizers(schemes)))
                runner.advance(block, name)
                blocks.append(block)
            found = [self._outputs(held_out, blocks) for held_out in self.runners]
        pairs = zip(found, self.wanted, strict=True)
        return statistics.fmean(float((a - b).square().sum() / b.square().sum()) for a, b in pairs)

    def _start(self, ids: Tensor) -> BlockRunner:
        return BlockRunner.start(self.model, self.names, ids, lambda shape: torch.empty(*shape))

    @torch.no_grad()
    def _outputs(self, runner: BlockRunner, blocks: Sequence[nn.Module]) -> Tensor:
        """What the blocks make of a runner's windows, which it keeps."""
        outputs = []
        for part in runner.slices():
            hidden = runner.hidden[part]
            for name, block in zip(self.probed, blocks, strict=True):
                hidden = runner.run(block, name, hidden)
            outputs.append(hidden)
        return torch.cat(outputs)
