# SPDX-License-Identifier: Apache-2.0
"""Schemes ``-auto``: every layer gets the format that errs least, is recorded with it, and keeps it over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edgeq.calibration.data import CalibrationData
from edgeq.calibration.statistics import StatisticsAccumulator
from edgeq.checkpoint import Checkpoint
from edgeq.methods.pipeline import Pipeline
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.layers import pack_best, squared_error
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint
from edgeq.quantization.skeleton import Target
from edgeq.quantization.work_directory import WorkDirectory
from edgeq.schemes import Scheme
from tests.quantization.conftest import save_llama

pytestmark = pytest.mark.transformers
DATA = CalibrationData(np.random.default_rng(0).integers(0, 50, (6, 24)), "random", 0)
TARGET = Target("layer", "linear", 32, 96)


def _statistics(generator: torch.Generator) -> Any:
    accumulator = StatisticsAccumulator(96)
    accumulator.add(torch.randn(200, 96, generator=generator) * torch.linspace(0.2, 3, 96))
    return accumulator.result()


def _weights(generator: torch.Generator) -> dict[str, Tensor]:
    normal = torch.randn(32, 96, generator=generator)
    return {"light": normal.clamp(-1.5, 1.5), "normal": normal, "heavy": normal**3}


@pytest.mark.parametrize(("method", "calibrated"), [("rtn", False), ("rtn", True), ("gptq", True), ("gptq+lorc", True)])
@torch.no_grad()
def test_no_format_is_better_than_the_one_that_is_chosen(method: str, calibrated: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    pipeline, scheme = Pipeline.parse(method), Scheme.parse("w3g32-auto-asym")
    for weight in _weights(generator).values():
        statistics = _statistics(generator) if calibrated else None
        gram = None if statistics is None else statistics.gram
        best = pack_best(TARGET, weight, scheme, pipeline, statistics)
        errors = {
            fmt: float(
                squared_error(
                    weight, pack_best(TARGET, weight, scheme.with_format(fmt), pipeline, statistics).dense(), gram
                )
            )
            for fmt in scheme.formats
        }
        assert errors[best.weight.format] == min(errors.values())


@torch.no_grad()
def test_tails_decide() -> None:
    weights = _weights(torch.Generator().manual_seed(0))
    chosen = {
        name: pack_best(TARGET, weight, Scheme.parse("w4-auto-asym"), Pipeline.parse("rtn", {"rtn.clip": "minmax"}))
        for name, weight in weights.items()
    }
    assert chosen["light"].weight.format.name == "uniform"
    assert chosen["heavy"].weight.format.name == "dint"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    directory = tmp_path_factory.mktemp("mixed")
    model = save_llama(directory, tie_word_embeddings=False)
    model.model.layers[0].mlp.up_proj.weight.data.pow_(3).mul_(2000)
    model.model.layers[1].mlp.down_proj.weight.data.clamp_(-0.02, 0.02)
    model.save_pretrained(directory)
    return Checkpoint(directory)


def test_what_each_layer_got_is_recorded(checkpoint: Checkpoint) -> None:
    plan = Plan.build(Scheme.parse("w4a8-auto"), layers={"*.k_proj": "w4a8-dint0.25"}, method="gptq")
    quantized = quantize_checkpoint(checkpoint, plan, None, Calibration(DATA))
    schemes = {record.name.removeprefix("model.layers."): record.scheme for record in quantized.records}
    assert not [scheme for scheme in schemes.values() if "auto" in scheme]
    assert schemes["0.mlp.up_proj"].startswith("w4a8-dint")
    assert schemes["1.mlp.down_proj"] == "w4a8"
    assert {scheme for name, scheme in schemes.items() if "k_proj" in name} == {"w4a8-dint0.25"}
    for record in quantized.records:
        module = quantized.model.get_submodule(record.name)
        assert Scheme.parse(record.scheme).weights == module.weight.format  # type: ignore[union-attr]


def test_a_finished_block_keeps_its_formats(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan.build(Scheme.parse("w4a8-auto"), method="rtn")
    monkeypatch.setattr(WorkDirectory, "remove", lambda self: None)
    runs = [quantize_checkpoint(checkpoint, plan, None, Calibration(DATA, work=tmp_path / "work")) for _ in range(2)]
    assert runs[0].records == runs[1].records
    states = [run.model.state_dict() for run in runs]
    assert [name for name in states[0] if not torch.equal(states[0][name], states[1][name])] == []
