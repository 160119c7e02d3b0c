# SPDX-License-Identifier: Apache-2.0
"""Tables of sensitivities against what they are made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from edgeq.allocation.candidates import default_candidates, parse_candidates
from edgeq.allocation.sensitivity import cache as caching
from edgeq.allocation.sensitivity.cache import cached_table
from edgeq.allocation.sensitivity.measure import Question, measure_table
from edgeq.allocation.sensitivity.noise import LEVELS, fit, measure_slope, relative_error
from edgeq.allocation.sensitivity.probe import Probe
from edgeq.allocation.sensitivity.table import KINDS, Kind, SensitivityTable
from edgeq.calibration.data import read_calibration
from edgeq.calibration.fisher import fisher_diagonals
from edgeq.calibration.statistics import StatisticsAccumulator
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.methods import rtn
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.loading import checkpoint_loader, materialize
from edgeq.quantization.plan import Plan
from edgeq.quantization.skeleton import build_skeleton, find_targets
from edgeq.schemes import Scheme
from tests.allocation.conftest import TinyModel

SCHEMES = ("w2g32", "w3g32", "w4g32", "w8g32")
UP = "model.layers.1.mlp.up_proj"


def question(tiny: TinyModel, kind: Kind, *, calibrated: bool = True, method: str = "rtn") -> Question:
    checkpoint = Checkpoint(tiny.checkpoint)
    calibration = Calibration(read_calibration(checkpoint, tiny.tokens, 6, 24)) if calibrated else None
    plan = Plan.build(Scheme.parse("w4g32"), method=method)
    return Question(checkpoint, plan, parse_candidates(SCHEMES), kind, calibration)


@pytest.fixture(scope="module")
def tables(tiny: TinyModel) -> dict[Kind, SensitivityTable]:
    return {kind: measure_table(question(tiny, kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def model(tiny: TinyModel) -> torch.nn.Module:
    checkpoint = Checkpoint(tiny.checkpoint)
    found = build_skeleton(checkpoint)
    materialize(found, checkpoint_loader(found, checkpoint))
    return found


def test_layers_that_read_the_same_input_are_one_group(tables: dict[Kind, SensitivityTable]) -> None:
    groups: dict[int, list[str]] = {}
    for layer in tables["output"].layers:
        groups.setdefault(layer.group, []).append(layer.name.removeprefix("model.layers."))
    assert list(groups.values())[:4] == [
        ["0.self_attn.q_proj", "0.self_attn.k_proj", "0.self_attn.v_proj"],
        ["0.self_attn.o_proj"],
        ["0.mlp.gate_proj", "0.mlp.up_proj"],
        ["0.mlp.down_proj"],
    ]
    assert len(groups) == 8


def test_errors_are_those_of_the_export(tiny: TinyModel, tables: dict[Kind, SensitivityTable]) -> None:
    weight = Checkpoint(tiny.checkpoint).tensor(f"{UP}.weight")
    layer = next(layer for layer in tables["output"].layers if layer.name == UP)
    fmt = Scheme.parse("w8g32").weights
    assert fmt is not None
    decoded = torch.from_numpy(fmt.decode(rtn.quantize(weight, fmt)))  # type: ignore[arg-type]
    unweighted = float((decoded - weight).square().sum() / weight.square().sum())
    assert layer.errors["w8g32"].weight == pytest.approx(unweighted, rel=0.1)  # calibration moves the ranges a little
    damages = [layer.errors[scheme].damage for scheme in SCHEMES]
    assert damages == sorted(damages, reverse=True)


@pytest.mark.parametrize("kind", ["fisher", "noise"])
def test_predictions_agree_with_measured_divergence(tables: dict[Kind, SensitivityTable], kind: Kind) -> None:
    """At 8 bits, where second order is all there is; within a factor of 2, since fisher has 6 windows to see."""
    measured = sum(layer.errors["w8g32"].damage for layer in tables["kl"].layers)
    predicted = sum(layer.errors["w8g32"].damage for layer in tables[kind].layers)
    assert measured / 2 < predicted < 2 * measured


def test_fisher_is_half_the_curvature_times_the_squared_error(
    tiny: TinyModel, tables: dict[Kind, SensitivityTable], model: torch.nn.Module
) -> None:
    calibration = question(tiny, "fisher").calibration
    assert calibration is not None
    ids = torch.from_numpy(calibration.data.ids)
    diagonal = fisher_diagonals(model, ids, [UP])[UP]
    weight = model.get_submodule(UP).get_parameter("weight").detach()
    layer = next(layer for layer in tables["fisher"].layers if layer.name == UP)
    wanted = 23 / 2 * float(diagonal.mean()) * float(weight.square().sum())
    assert layer.alpha == pytest.approx(wanted, rel=1e-4)


def test_a_probe_that_skips_blocks_measures_the_same(tiny: TinyModel, model: torch.nn.Module) -> None:
    calibration = question(tiny, "kl").calibration
    assert calibration is not None
    probe = Probe(model, torch.from_numpy(calibration.data.ids))
    target = next(target for target in find_targets(model) if target.name == UP)
    module = model.get_submodule(UP)
    before = module.get_parameter("weight").detach().clone()
    changed = before + 0.1 * torch.randn(before.shape, generator=torch.Generator().manual_seed(1))
    whole = probe.divergence(0, module, target, changed)
    probe.begin_block(1)
    assert probe.divergence(1, module, target, changed) == pytest.approx(whole, rel=1e-5)
    assert probe.divergence(1, module, target, before) == pytest.approx(0, abs=1e-6)
    assert torch.equal(module.get_parameter("weight"), before)
    assert whole > 1e-4


def test_noise_has_the_size_asked_for_and_the_slope_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 32, generator=generator)
    accumulator = StatisticsAccumulator(32)
    accumulator.add(torch.randn(100, 32, generator=generator) * torch.logspace(-2, 1, 32))
    statistics = accumulator.result()
    for known in (None, statistics):
        slope = measure_slope(weight, known, lambda m, k=known: 7 * relative_error(m - weight, weight, k), seed=3)
        assert slope.alpha == pytest.approx(7, rel=1e-4)
        assert slope.residual == pytest.approx(0, abs=1e-3)
    assert fit((1.0, 2.0), [1.0, 3.0]).alpha == pytest.approx(4 / 3)
    assert len(LEVELS) >= 3


def test_without_calibration_errors_are_those_of_the_weights(tiny: TinyModel) -> None:
    found = measure_table(question(tiny, "noise", calibrated=False))
    errors = found.layers[0].errors["w3g32"]
    assert errors.output is None
    assert found.layers[0].alpha is not None
    assert errors.damage == pytest.approx(found.layers[0].alpha * errors.weight)
    for kind in ("output", "fisher"):
        with pytest.raises(EdgeqError, match="--sensitivity: needs calibration"):
            measure_table(question(tiny, kind, calibrated=False))


def test_tables_are_kept_under_their_fingerprint(
    tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_table(question(tiny, "output"), tmp_path)
    (entry,) = tmp_path.iterdir()

    def refuse(*_: object) -> SensitivityTable:
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(caching, "measure_table", refuse)
        assert cached_table(question(tiny, "output"), tmp_path) == first
        with pytest.raises(AssertionError):
            cached_table(question(tiny, "output", method="gptq"), tmp_path)
    entry.write_text(json.dumps({"fingerprint": {}, "table": 1}))
    assert cached_table(question(tiny, "output"), tmp_path) == first  # a damaged entry is measured again


def test_candidates_by_default() -> None:
    names = [str(scheme) for scheme in default_candidates(Scheme.parse("w4g128"))]
    assert names == ["w2g32-asym", "w3g64", "w4g128", "w8g128"]  # those of the presets
    assert [str(s) for s in default_candidates(Scheme.parse("w4g32-dint"))] == ["w3g32-dint", "w4g32-dint"]
    with pytest.raises(EdgeqError, match="nothing to choose"):
        parse_candidates(["w4g32", "w4g32"])
