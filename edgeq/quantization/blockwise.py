# SPDX-License-Identifier: Apache-2.0
"""Quantizes a model block by block: each block is observed under predecessors that are quantized already.

As in GPTQ (arXiv 2210.17323): a block's layers are observed with full-precision weights, quantized, and the block's
outputs with quantized weights become the inputs of the next one. Within a block, too, later layers are observed
after the earlier ones are quantized.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from edgeq.bundle.manifest import CalibrationRecord
from edgeq.calibration.activations import allocate
from edgeq.calibration.blocks import BlockRunner, find_blocks
from edgeq.calibration.data import CalibrationData
from edgeq.checkpoint import Checkpoint
from edgeq.progress import Progress
from edgeq.quantization.block import BlockQuantizer, block_tensors, restore_block
from edgeq.quantization.layers import PackedLayer, quantize_unobserved, replace_layer, scheme_of
from edgeq.quantization.linear import PackedWeight
from edgeq.quantization.loading import Load, materialize
from edgeq.quantization.plan import Plan
from edgeq.quantization.sensitivities import Sensitivities, fisher_sensitivities, no_sensitivities
from edgeq.quantization.skeleton import Target, find_targets
from edgeq.quantization.work_directory import Fingerprint, WorkDirectory, library_versions

DEFAULT_MEMORY = 4_000_000_000


@dataclass(frozen=True)
class Calibration:
    """How a model is calibrated.

    Attributes:
        data: The windows that it reads.
        work: Directory of finished blocks, from which an interrupted run continues; without one nothing is kept.
        memory: Bytes that the activations may take; beyond them they lie in a file.
        sequential: Whether a layer is observed after the layers that run before it in its block are quantized.
        length_reason: Why the windows are as long as they are, where that was chosen.
    """

    data: CalibrationData
    work: Path | None = None
    memory: int = DEFAULT_MEMORY
    sequential: bool = True
    length_reason: str | None = None

    def record(self) -> CalibrationRecord:
        """For the manifest."""
        samples, length = self.data.ids.shape
        return CalibrationRecord(
            source=self.data.source,
            fingerprint=self.data.fingerprint,
            samples=samples,
            length=length,
            seed=self.data.seed,
            length_reason=self.length_reason,
        )


def quantize_blocks(
    model: nn.Module,
    checkpoint: Checkpoint,
    plan: Plan,
    load: Load,
    calibration: Calibration,
    progress: Progress | None = None,
) -> None:
    """Quantizes a skeleton in place; parameters outside its blocks are loaded too.

    Args:
        model: The model, its parameters on the meta device.
        checkpoint: Where it came from.
        plan: Schemes and methods.
        load: Reads a tensor of the checkpoint.
        calibration: What the model reads.
        progress: Told the stage ``quantize`` and its layers.

    Raises:
        EdgeqError: A layer cannot be quantized, there is no room for the activations, or the work directory belongs
            to another run.
    """
    work = WorkDirectory.open(calibration.work, run_fingerprint(model, checkpoint, plan, calibration))
    try:
        sensitivities: Sensitivities = no_sensitivities
        if plan.pipeline.wants_fisher:
            targets = [target for target in find_targets(model) if not target.vocabulary]
            ids = torch.from_numpy(calibration.data.ids)
            sensitivities = fisher_sensitivities(checkpoint, ids, targets, calibration.work, progress)
        _Blockwise(model, plan, load, calibration, work, progress, sensitivities).run()
        work.remove()
    finally:
        work.remove_unless_begun()
        work.release()


def run_fingerprint(model: nn.Module, checkpoint: Checkpoint, plan: Plan, calibration: Calibration) -> Fingerprint:
    """All that the result depends on."""
    samples, length = calibration.data.ids.shape
    return {
        "model": checkpoint.content_fingerprint,
        "method": plan.describe_method(),
        "calibration": calibration.data.fingerprint,
        "samples": samples,
        "length": length,
        "seed": calibration.data.seed,
        "sequential": calibration.sequential,
        **library_versions(),
        **{f"scheme of {target.name}": str(scheme_of(plan, target)) for target in find_targets(model)},
    }


class _Blockwise:
    def __init__(
        self,
        model: nn.Module,
        plan: Plan,
        load: Load,
        calibration: Calibration,
        work: WorkDirectory,
        progress: Progress | None,
        sensitivities: Sensitivities,
    ) -> None:
        self.sensitivities = sensitivities
        self.model, self.plan, self.load, self.work = model, plan, load, work
        self.calibration, self.progress = calibration, progress
        self.names = find_blocks(model)
        self.targets = find_targets(model)
        self.done = 0

    def run(self) -> None:
        inside = tuple(f"{name}." for name in self.names)
        self._count(0)
        for target in self.targets:
            if not target.name.startswith(inside):
                quantize_unobserved(self.model, target, self.plan, self.load)
                self._count(1)
        materialize(self.model, self.load, outside=tuple(self.names))
        materialize(self.model, self.load, inside=inside[0])
        runner = self._start()
        for index, name in enumerate(self.names):
            self._run_block(runner, index, name)

    def _start(self) -> BlockRunner:
        ids = torch.from_numpy(self.calibration.data.ids)
        make = partial(allocate, budget=self.calibration.memory, directory=self.work.scratch)
        with _decoded_once(self.model):
            return BlockRunner.start(self.model, self.names, ids, make)

    def _run_block(self, runner: BlockRunner, index: int, name: str) -> None:
        targets = [target for target in self.targets if target.name.startswith(f"{name}.")]
        block = self.model.get_submodule(name)
        finished = self.work.load(index)
        if finished is not None:
            layers = restore_block(self.model, self.plan, targets, finished)
            self._count(len(layers))
        else:
            materialize(self.model, self.load, inside=f"{name}.")
            quantizer = BlockQuantizer(
                self.plan,
                runner,
                block,
                name,
                targets,
                self.model.config,
                self.calibration.sequential,
                self.sensitivities,
            )
            layers = quantizer.quantize(self._count)
            self.work.save(index, block_tensors(block, name, layers))
        if index + 1 < len(self.names):
            runner.advance(block, name)
        for target in targets:
            if target.name in layers:
                self._replace(target, layers[target.name])

    def _replace(self, target: Target, layer: PackedLayer) -> None:
        bias = getattr(self.model.get_submodule(target.name), "bias", None)
        kept = None if bias is None else bias.detach()
        replace_layer(self.model, target, scheme_of(self.plan, target), layer, kept)

    def _count(self, layers: int) -> None:
        self.done += layers
        if self.progress:
            self.progress("quantize", self.done, len(self.targets))


@contextmanager
def _decoded_once(model: nn.Module) -> Iterator[None]:
    """Packed weights in the model decode once, however often they are asked for."""
    weights = [module for module in model.modules() if isinstance(module, PackedWeight)]
    for weight in weights:
        matrix = weight.dequantize()
        weight.dequantize = lambda matrix=matrix: matrix  # type: ignore[method-assign,misc]
    try:
        yield
    finally:
        for weight in weights:
            del weight.dequantize
