# SPDX-License-Identifier: Apache-2.0
"""Methods one after the other on one layer, with the settings that are to be searched on calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.formats import Format, QuantizedTensor
from edgeq.methods.grids import Clip
from edgeq.methods.method_options import describe_options, parse_options
from edgeq.methods.registry import Method, Stage, parse_methods
from edgeq.methods.rows import choose_rows

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics


@dataclass(frozen=True)
class Step:
    """A method and its options."""

    method: Method
    options: Any


@dataclass(frozen=True)
class LayerResult:
    """A quantized layer.

    Attributes:
        tensor: Codes and scales.
        corrections: What is added to the layer's output beside it, in the order of the pipeline.
    """

    tensor: QuantizedTensor
    corrections: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Pipeline:
    """What ``--method`` and its options ask for.

    Attributes:
        steps: In the order of the stages; exactly one of them is a solver.
    """

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, methods: str = "rtn", options: Mapping[str, Any] | None = None) -> Pipeline:
        """From ``magr+gptq`` and options by ``METHOD.FIELD``, given as text or as values.

        Raises:
            EdgeqError: A method or option is unknown, out of order or of the wrong type.
        """
        parsed = parse_methods(methods)
        pipeline = cls(tuple(Step(method, chosen) for method, chosen in parse_options(parsed, options or {})))
        if pipeline.wants_fisher and pipeline.of_stage("fold"):
            raise EdgeqError(
                "folds weights after their Fisher information is known",
                field="--method",
                found=str(pipeline),
                wanted="either",
            )
        return pipeline

    def of_stage(self, *stages: Stage) -> list[Step]:
        """The steps of some stages."""
        return [step for step in self.steps if step.method.stage in stages]

    @property
    def solver(self) -> Step:
        """The step that chooses codes."""
        return self.of_stage("solver")[0]

    @property
    def calibrated(self) -> bool:
        """Whether it needs calibration."""
        searched = any(len(step.options.candidates()) > 1 for step in self.steps)
        return searched or self.wants_fisher or any(step.method.calibrated for step in self.steps)

    @property
    def wants_fisher(self) -> bool:
        """Whether a method reads the Fisher information of the weights."""
        return any(step.options.wants_fisher for step in self.steps)

    def __str__(self) -> str:
        return "+".join(step.method.name for step in self.steps)

    def describe(self) -> str:
        """Methods with the range of the solver's grids and the options that are not at their defaults."""
        changed = {
            f"{step.method.name}.{k}": v for step in self.steps for k, v in describe_options(step.options).items()
        }
        solver = self.solver
        grid = getattr(solver.options, "grid", None)
        clip = {} if grid is None else {f"{solver.method.name}.clip": grid.clip}
        return " ".join([str(self), *(f"{name}={value}" for name, value in sorted((clip | changed).items()))])

    def for_vocabulary(self) -> Pipeline:
        """What token embedding and output head get: round to nearest, unless the solver gives a rate for them."""
        bits = getattr(self.solver.options, "vocabulary_bits", "none")
        return Pipeline.parse() if bits == "none" else Pipeline.parse("ecsq", {"ecsq.bits": bits})

    def with_clip(self, clip: Clip) -> Pipeline:
        """The same with another way to choose the range of a group."""
        steps = (
            replace(step, options=replace(step.options, grid=replace(step.options.grid, clip=clip)))
            if step.method.stage == "solver" and hasattr(step.options, "grid")
            else step
            for step in self.steps
        )
        return Pipeline(tuple(steps))

    def quantize(self, weight: Tensor, fmt: Format, statistics: LayerStatistics | None) -> LayerResult:
        """Quantizes one layer.

        Args:
            weight: Floating point ``[N, K]``.
            fmt: The number format.
            statistics: Inputs of the layer; ``None`` without calibration.

        Raises:
            EdgeqError: The weights cannot be quantized, or a method lacks its statistics.
        """
        corrections = []
        dense = weight.float()
        for step in self.of_stage("split"):
            dense, sparse = step.method.module.split(dense, statistics, step.options)
            corrections.append(sparse)
        tensor = self._search(dense, fmt, statistics)
        for step in self.of_stage("refinement"):
            tensor = step.method.module.refine(tensor, fmt, dense, statistics, step.options)
        for step in self.of_stage("correction"):
            decoded = torch.from_numpy(fmt.decode(tensor))  # type: ignore[arg-type]  # the format's own tensor
            corrections.append(step.method.module.correct(dense, decoded, statistics, step.options))
        return LayerResult(tensor, tuple(corrections))

    def _search(self, target: Tensor, fmt: Format, statistics: LayerStatistics | None) -> QuantizedTensor:
        """The best of all candidate settings of transforms and solver, row by row."""
        attempts = list(self._candidates())
        last: dict[tuple[Step, ...], Tensor] = {}
        best = self._attempt(attempts[0], target, fmt, statistics, last)
        if len(attempts) == 1:
            return best
        if statistics is None:
            raise EdgeqError("a search needs calibration", field=str(self), remedy="add --calibration FILE")
        least = output_errors(best, fmt, target, statistics)
        for steps in attempts[1:]:
            tensor = self._attempt(steps, target, fmt, statistics, last)
            errors = output_errors(tensor, fmt, target, statistics)
            best = choose_rows((errors < least).numpy(), tensor, best)
            least = torch.minimum(errors, least)
        return best

    def _candidates(self) -> Iterator[tuple[Step, ...]]:
        steps = self.of_stage("transform", "solver")
        for options in product(*(step.options.candidates() for step in steps)):
            yield tuple(Step(step.method, chosen) for step, chosen in zip(steps, options, strict=True))

    def _attempt(
        self,
        steps: tuple[Step, ...],
        target: Tensor,
        fmt: Format,
        statistics: LayerStatistics | None,
        last: dict[tuple[Step, ...], Tensor],
    ) -> QuantizedTensor:
        """One setting; ``last`` holds the weights that the last transforms made, for settings that share them."""
        transforms, solver = steps[:-1], steps[-1]
        if transforms not in last:
            weight = target
            for step in transforms:
                weight = step.method.module.transform(weight, statistics, fmt, step.options)
            last.clear()
            last[transforms] = weight
        quantize = solver.method.module.quantize
        return cast("QuantizedTensor", quantize(last[transforms], fmt, statistics, solver.options))


def output_errors(tensor: QuantizedTensor, fmt: Format, target: Tensor, statistics: LayerStatistics) -> Tensor:
    """Squared change of each output over the calibration tokens, float64 ``[N]``: the diagonal of E XᵀX Eᵀ."""
    error = torch.from_numpy(fmt.decode(tensor)) - target.float()  # type: ignore[arg-type]  # the format's own tensor
    if "gram32" not in statistics.memo:
        statistics.memo["gram32"] = statistics.gram.float()
    gram: Tensor = statistics.memo["gram32"]
    return ((error @ gram) * error).sum(1, dtype=torch.float64)
