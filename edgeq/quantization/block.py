# SPDX-License-Identifier: Apache-2.0
"""One block: its layers observed and quantized in the order in which they run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.calibration.blocks import BlockRunner
from edgeq.calibration.observe import collect, input_groups
from edgeq.calibration.statistics import LayerStatistics
from edgeq.errors import EdgeqError
from edgeq.formats import Format
from edgeq.quantization.activations import static_scale
from edgeq.quantization.corrections import restore_corrections
from edgeq.quantization.layers import PackedLayer, as_matrix, pack_best, scheme_of, squared_error
from edgeq.quantization.linear import PackedWeight
from edgeq.quantization.plan import Plan
from edgeq.quantization.preparation import prepare_block
from edgeq.quantization.sensitivities import Sensitivities, no_sensitivities
from edgeq.quantization.skeleton import Target

logger = logging.getLogger(__name__)

Layers = dict[str, PackedLayer]


class BlockQuantizer:
    """Quantizes the layers of one block.

    Afterwards the block's linear layers hold the quantized matrices as float32, so that it can go on running.

    Args:
        plan: Schemes and methods.
        runner: Holds the block's inputs and runs it.
        block: The block, with float32 weights.
        name: Its name in the model.
        targets: Its layers.
        config: Configuration of the model.
        sequential: Whether a layer is observed after those that run before it are quantized.
        sensitivities: The Fisher information of a layer, where a method wants it.
    """

    def __init__(
        self,
        plan: Plan,
        runner: BlockRunner,
        block: nn.Module,
        name: str,
        targets: Sequence[Target],
        config: Any,
        sequential: bool = True,
        sensitivities: Sensitivities = no_sensitivities,
    ) -> None:
        self.plan, self.runner, self.block, self.name = plan, runner, block, name
        self.config, self.sequential, self.sensitivities = config, sequential, sensitivities
        self.targets = {
            target.name.removeprefix(f"{name}."): target for target in targets if scheme_of(plan, target).weights
        }

    def quantize(self, count: Callable[[int], None]) -> Layers:
        """The packed layers by their names in the model.

        Args:
            count: Told how many layers are done, each time some are.
        """
        layers: Layers = {}
        self._check_weights()
        groups = input_groups(self.runner, self.block, self.name, self.targets)
        schemes = {layer: scheme_of(self.plan, target) for layer, target in self.targets.items()}
        prepare_block(self.plan.pipeline, self.runner, self.block, self.name, groups, schemes, self.config)
        steps = [[group] for group in groups] if self.sequential else [groups]
        for step in steps:
            for group, statistics in zip(step, collect(self.runner, self.block, self.name, step), strict=True):
                for layer in group:
                    layers[self.targets[layer].name] = self._quantize_layer(layer, statistics)
                    count(1)
        for layer in sorted(self.targets.keys() - {layer for group in groups for layer in group}):
            layers[self.targets[layer].name] = self._quantize_layer(layer, None)
            count(1)
        return layers

    def _check_weights(self) -> None:
        """Before anything runs with them: afterwards every layer behind would seem to be at fault."""
        for layer, target in self.targets.items():
            if not torch.isfinite(self.block.get_submodule(layer).get_parameter("weight")).all():
                raise EdgeqError(
                    "weights are not finite",
                    field=target.name,
                    found="NaN or infinity",
                    wanted="finite weights",
                    remedy="check the checkpoint",
                )

    def _quantize_layer(self, layer: str, statistics: LayerStatistics | None) -> PackedLayer:
        start = time.perf_counter()
        target = self.targets[layer]
        pipeline = self.plan.pipeline_for(vocabulary=target.vocabulary, observed=statistics is not None)
        linear = self.block.get_submodule(layer)
        weight = as_matrix(linear.get_parameter("weight").detach(), target)
        if statistics is not None:
            statistics = replace(statistics, fisher=self.sensitivities(target))
        scheme = scheme_of(self.plan, target)
        packed = pack_best(target, weight, scheme, pipeline, statistics)
        if statistics is not None and scheme.activation_mode == "static":
            packed = replace(packed, activation_scale=static_scale(statistics.absmax))
        matrix = packed.dense()
        seconds = time.perf_counter() - start
        if statistics is not None and logger.isEnabledFor(logging.INFO):
            error = _relative_error(weight, matrix, statistics.gram)
            logger.info("%s: %s, %.1f s, error of the outputs %.2f %%", target.name, pipeline, seconds, 100 * error)
        set_matrix(linear, target, matrix)
        return packed


def _relative_error(weight: Tensor, quantized: Tensor, gram: Tensor) -> float:
    """‖X (Ŵ − W)ᵀ‖ / ‖X Wᵀ‖ over the calibration tokens."""
    changed, whole = (squared_error(matrix, weight, gram) for matrix in (quantized, torch.zeros_like(weight)))
    return float((changed / whole).clamp(min=0).sqrt())


def set_matrix(linear: nn.Module, target: Target, matrix: Tensor) -> None:
    """Gives a float layer the matrix ``[N, K]``."""
    linear.weight = nn.Parameter(as_matrix(matrix, target), requires_grad=False)


def block_tensors(block: nn.Module, name: str, layers: Layers) -> dict[str, Tensor]:
    """What is kept of a finished block: packed layers, and the parameters beside them.

    Args:
        block: The block after `BlockQuantizer.quantize`.
        name: Its name in the model.
        layers: Its packed layers.
    """
    tensors: dict[str, Tensor] = {}
    for layer, packed in layers.items():
        tensors[f"packed.{layer}"] = packed.weight.data
        tensors[f"format.{layer}"] = _name_of(packed.weight.format)
        if packed.activation_scale is not None:
            tensors[f"activation_scale.{layer}"] = torch.tensor(packed.activation_scale, dtype=torch.float64)
        for index, correction in enumerate(packed.corrections):
            for key, value in correction.named_buffers():
                tensors[f"correction.{layer}.{index}.{key}"] = value
    for key, parameter in block.named_parameters(prefix=name):
        if key.removesuffix(".weight") not in layers:
            tensors[f"parameter.{key}"] = parameter.detach()
    return tensors


def restore_block(model: nn.Module, plan: Plan, targets: Sequence[Target], tensors: dict[str, Tensor]) -> Layers:
    """Puts a finished block back as `BlockQuantizer.quantize` left it.

    Args:
        model: The model.
        plan: Schemes and methods.
        targets: Layers of the block.
        tensors: What `block_tensors` gave.
    """
    layers: Layers = {}
    for target in targets:
        formats = scheme_of(plan, target).formats
        if not formats:
            continue
        fmt = next(fmt for fmt in formats if torch.equal(tensors[f"format.{target.name}"], _name_of(fmt)))
        weight = PackedWeight(tensors[f"packed.{target.name}"], fmt, target.rows, target.columns)
        corrections = restore_corrections(_corrections(tensors, target), target.columns)
        scale = tensors.get(f"activation_scale.{target.name}")
        layers[target.name] = PackedLayer(weight, corrections, None if scale is None else float(scale))
        set_matrix(model.get_submodule(target.name), target, layers[target.name].dense())
    for key, value in tensors.items():
        if key.startswith("parameter."):
            module, _, leaf = key.removeprefix("parameter.").rpartition(".")
            setattr(model.get_submodule(module), leaf, nn.Parameter(value, requires_grad=False))
    return layers


def _name_of(fmt: Format) -> Tensor:
    """A format's suffix as a tensor of bytes, as safetensors holds nothing else."""
    return torch.tensor(list(f"w{fmt.bits}{fmt.scheme_suffix}".encode()), dtype=torch.uint8)


def _corrections(tensors: dict[str, Tensor], target: Target) -> list[dict[str, Tensor]]:
    """Buffers of each correction of a layer, in order."""
    prefix = f"correction.{target.name}."
    found: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            index, _, buffer = key.removeprefix(prefix).partition(".")
            found.setdefault(int(index), {})[buffer] = value
    return [found[index] for index in sorted(found)]
