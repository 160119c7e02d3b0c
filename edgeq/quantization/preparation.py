# SPDX-License-Identifier: Apache-2.0
"""What methods that see a whole block are given of it, before any of its layers is quantized."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from edgeq.calibration.blocks import BlockRunner
from edgeq.calibration.calls import ModuleCall, capture_call
from edgeq.calibration.observe import collect
from edgeq.formats import BcqFormat, Format
from edgeq.methods.folding import ActivationQuantizer, FoldableBlock
from edgeq.methods.pipeline import Pipeline
from edgeq.quantization.activations import fake_quantize, static_scale
from edgeq.schemes import Scheme

SAMPLE_ROWS = 1024  # rows of inputs that a method may measure on, and tokens that pass through an attention module


def prepare_block(
    pipeline: Pipeline,
    runner: BlockRunner,
    block: nn.Module,
    name: str,
    groups: Sequence[Sequence[str]],
    schemes: Mapping[str, Scheme],
    config: Any,
) -> None:
    """Lets methods that see the whole block change its weights.

    Args:
        pipeline: The methods.
        runner: Runs the block.
        block: The block, with weights.
        name: Its name in the model.
        groups: Its layers as `edgeq.calibration.observe.input_groups` gives them.
        schemes: Scheme of each layer that is going to be quantized, by its name inside the block.
        config: Configuration of the model.

    Raises:
        EdgeqError: A method cannot work on this block.
    """
    folds, solver = pipeline.of_stage("fold"), pipeline.solver
    formats: dict[str, Format] = {layer: s.weights for layer, s in schemes.items() if s.weights is not None}
    if not formats or not (folds or solver.method.whole_block):
        return
    foldable = FoldableBlock(block, config, formats, {})
    if folds:
        rows = SAMPLE_ROWS if any(step.method.samples for step in folds) else 0
        found = collect(runner, block, name, groups, rows)
        foldable.statistics = {layer: values for group, values in zip(groups, found, strict=True) for layer in group}
        foldable.activations = activation_quantizers(schemes)
        foldable.calls = _calls(foldable, runner, name) if rows else {}
    for step in folds:
        step.method.module.fold(foldable, step.options)
    if solver.method.whole_block:
        solver.method.module.prepare(foldable, runner, name, solver.options)


def activation_quantizers(schemes: Mapping[str, Scheme]) -> dict[str, ActivationQuantizer]:
    """What rounds the inputs of each layer as its operator does, by layer; none where they stay float."""
    by_scheme = {scheme: _quantizer(scheme) for scheme in schemes.values()}  # layers that round alike share one
    return {layer: quantizer for layer, scheme in schemes.items() if (quantizer := by_scheme[scheme]) is not None}


@contextmanager
def rounding_inputs(block: nn.Module, quantizers: Mapping[str, ActivationQuantizer]) -> Iterator[None]:
    """Rounds what the layers of a float block read, by their names inside it, as long as the context lasts."""
    handles = [
        block.get_submodule(layer).register_forward_pre_hook(lambda _, args, change=change: (change(args[0]),))
        for layer, change in quantizers.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _quantizer(scheme: Scheme) -> ActivationQuantizer | None:
    fmt = scheme.weights
    if fmt is None or isinstance(fmt, BcqFormat) or scheme.activation_bits not in (None, 8):
        return None
    mode, group_size = scheme.activation_mode, fmt.group_size

    def quantize(inputs: Tensor) -> Tensor:
        scale = static_scale(inputs.reshape(-1, inputs.shape[-1]).abs().amax(0)) if mode == "static" else None
        return fake_quantize(inputs, mode, group_size, scale)

    return quantize


def _calls(block: FoldableBlock, runner: BlockRunner, name: str) -> dict[str, ModuleCall]:
    modules = {place.attention for place in block.folds() if place.attention}
    return {module: capture_call(runner, block.module, name, module, SAMPLE_ROWS) for module in modules}
