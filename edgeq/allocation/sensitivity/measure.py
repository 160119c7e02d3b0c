# SPDX-License-Identifier: Apache-2.0
"""Measures the table of a model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgeq.allocation.sensitivity.damage import FisherDamage, MeasuredDamage, NoiseDamage, Predict, output_damage
from edgeq.allocation.sensitivity.errors import Trial, measuring_pipeline, try_scheme
from edgeq.allocation.sensitivity.probe import Probe
from edgeq.allocation.sensitivity.table import Kind, LayerSensitivity, SchemeErrors, SensitivityTable
from edgeq.allocation.sensitivity.walk import Visit, walk
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.methods.pipeline import Pipeline
from edgeq.progress import Progress
from edgeq.quantization.blockwise import DEFAULT_MEMORY, Calibration
from edgeq.quantization.loading import checkpoint_loader, materialize
from edgeq.quantization.plan import Plan
from edgeq.quantization.sensitivities import fisher_sensitivities
from edgeq.quantization.skeleton import Target, build_skeleton, find_targets
from edgeq.schemes import Scheme

RANDOM_WINDOWS, RANDOM_LENGTH = 8, 256


@dataclass(frozen=True)
class Question:
    """What is to be measured.

    Attributes:
        checkpoint: The model.
        plan: Its methods make the errors.
        candidates: Schemes.
        kind: How damage is predicted.
        calibration: What the model reads; without it random tokens, and errors are those of the weights.
        layers: Names of the layers; ``None`` for all but the vocabulary.
    """

    checkpoint: Checkpoint
    plan: Plan
    candidates: tuple[Scheme, ...]
    kind: Kind = "noise"
    calibration: Calibration | None = None
    layers: frozenset[str] | None = None


def measure_table(question: Question, progress: Progress | None = None) -> SensitivityTable:
    """Measures errors and damage of every layer inside the blocks.

    ``output`` holds one block in memory at a time, the other kinds the whole model.

    Args:
        question: What to measure.
        progress: Told the stage ``sensitivities`` and its layers.

    Raises:
        EdgeqError: The kind needs calibration or a language model, or a layer cannot be quantized.
    """
    calibration, kind = question.calibration, question.kind
    if calibration is None and kind in ("output", "fisher"):
        raise EdgeqError(
            "needs calibration", field="--sensitivity", found=kind, remedy="add --calibration FILE, or use noise or kl"
        )
    model: Any = build_skeleton(question.checkpoint)
    load = checkpoint_loader(model, question.checkpoint)
    if kind in ("noise", "kl"):
        materialize(model, load)
    targets = [target for target in find_targets(model) if _wanted(question, target)]
    ids = _random_ids(model) if calibration is None else torch.from_numpy(calibration.data.ids)
    probe = Probe(model, ids) if kind in ("noise", "kl") else None
    measure = _Measurement(question, probe, _predictor(question, probe, ids, targets, progress))
    memory = DEFAULT_MEMORY if calibration is None else calibration.memory
    layers = []
    visits = walk(model, load, ids, targets, memory, Path(tempfile.gettempdir()), keep=probe is not None)
    for number, visit in enumerate(visits, 1):
        layers.append(measure.layer(visit))
        if progress:
            progress("sensitivities", number, len(targets))
    return SensitivityTable(kind=kind, layers=layers)


def _wanted(question: Question, target: Target) -> bool:
    return not target.vocabulary and (question.layers is None or target.name in question.layers)


def _random_ids(model: Any) -> Tensor:
    config = model.config
    length = min(RANDOM_LENGTH, int(getattr(config, "max_position_embeddings", RANDOM_LENGTH)))
    generator = torch.Generator().manual_seed(0)
    return torch.randint(int(config.vocab_size), (RANDOM_WINDOWS, length), generator=generator)


def _predictor(
    question: Question, probe: Probe | None, ids: Tensor, targets: Sequence[Target], progress: Progress | None
) -> Predict:
    if question.kind == "output":
        return output_damage
    if question.kind == "fisher":
        fisher = fisher_sensitivities(question.checkpoint, ids, targets, None, progress)
        return FisherDamage(fisher, ids.shape[1] - 1)
    assert probe is not None
    return MeasuredDamage(probe) if question.kind == "kl" else NoiseDamage(probe, observed=_observed(question))


def _observed(question: Question) -> bool:
    return question.calibration is not None


class _Measurement:
    def __init__(self, question: Question, probe: Probe | None, predict: Predict) -> None:
        self._question, self._probe, self._predict = question, probe, predict
        self._pipeline: Pipeline = measuring_pipeline(question.plan, observed=_observed(question))
        self._block = -1

    def layer(self, visit: Visit) -> LayerSensitivity:
        """Everything about one layer."""
        if self._probe is not None and visit.block != self._block:
            self._probe.begin_block(visit.block)
            self._block = visit.block
        trials = [self._try(visit, scheme) for scheme in self._question.candidates]
        damage = self._predict(visit, trials)
        return LayerSensitivity(
            name=visit.target.name,
            rows=visit.target.rows,
            columns=visit.target.columns,
            group=visit.group,
            alpha=damage.alpha,
            errors={
                str(scheme): SchemeErrors(weight=trial.weight, output=trial.output, damage=change)
                for scheme, trial, change in zip(self._question.candidates, trials, damage.changes, strict=True)
            },
        )

    def _try(self, visit: Visit, scheme: Scheme) -> Trial:
        statistics = visit.statistics if _observed(self._question) else None
        try:
            return try_scheme(visit.weight, scheme, self._pipeline, statistics)
        except EdgeqError as error:
            raise EdgeqError(
                error.problem,
                field=f"{visit.target.name} as {scheme}",
                found=error.found,
                wanted=error.wanted,
                remedy=error.remedy or "leave that scheme out of --candidates",
            ) from error
