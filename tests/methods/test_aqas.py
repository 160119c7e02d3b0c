# SPDX-License-Identifier: Apache-2.0
"""Scaling with both quantizers in view: outputs stay, errors never rise, and outliers of the activations are seen."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.methods import aqas, awq, smoothquant
from edgeq.methods.distortion import distortion_of
from edgeq.methods.folding import FoldableBlock
from tests.calibration.test_blocks import ENCODERS, any_model
from tests.export.tiny_models import CONFIGS, VOCABULARY
from tests.methods.blocks import foldable, outlier_block

pytestmark = pytest.mark.transformers
FEW = aqas.Options(steps=2)
SEARCHES: tuple[Literal["coarse", "full"], ...] = ("coarse", "full")


def _outlier_model(factor: float = 40.0) -> Any:
    """A llama of which one channel in front of the attention and of the feed-forward layers is much larger."""
    model = any_model("llama")
    for norm in (model.model.layers[0].input_layernorm, model.model.layers[0].post_attention_layernorm):
        norm.weight.data[5] *= factor
    return model


def _weights(block: FoldableBlock) -> dict[str, Tensor]:
    return {name: parameter.clone() for name, parameter in block.module.named_parameters()}


@pytest.mark.parametrize("name", [*CONFIGS, *ENCODERS])
@torch.no_grad()
def test_the_fold_keeps_the_outputs(name: str) -> None:
    model = any_model(name)
    ids = torch.randint(3, VOCABULARY, (2, 20), generator=torch.Generator().manual_seed(2))
    before = model(input_ids=ids)[0]
    block = foldable(model, "w3a8t-asym")
    untouched = _weights(block)
    aqas.fold(block, FEW)
    assert any(not torch.equal(value, untouched[key]) for key, value in _weights(block).items())
    torch.testing.assert_close(model(input_ids=ids)[0], before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["llama", "opt", "gpt2"])
@torch.no_grad()
def test_smoothing_keeps_the_outputs(name: str) -> None:
    model = any_model(name)
    ids = torch.randint(3, VOCABULARY, (2, 20), generator=torch.Generator().manual_seed(2))
    before = model(input_ids=ids)[0]
    block = foldable(model, "w8a8t")
    places = {place.source: block.statistics[place.layers[0]].absmax for place in block.folds()}
    smoothquant.fold(block)
    torch.testing.assert_close(model(input_ids=ids)[0], before, rtol=1e-4, atol=1e-4)
    now = {place.source: block.statistics[place.layers[0]].absmax for place in block.folds()}
    changed = {source for source in places if not torch.equal(now[source], places[source])}
    assert changed == {place.source for place in block.folds() if place.kind == "norm"}


@torch.no_grad()
def test_smoothing_is_the_published_formula() -> None:
    model = any_model("llama")
    block = foldable(model, "w8a8t")
    place = block.folds()[0]
    inputs = block.statistics[place.layers[0]].absmax
    weights = torch.cat([block.weight(layer) for layer in place.layers]).abs().amax(0)
    smoothquant.fold(block, smoothquant.Options(alpha=0.75))
    torch.testing.assert_close(block.statistics[place.layers[0]].absmax, inputs / (inputs**0.75 / weights**0.25))


@torch.no_grad()
def test_encoders_whose_norms_feed_the_residual_are_refused_or_scaled_elsewhere() -> None:
    block = foldable(any_model("bert"), "w8a8t")
    with pytest.raises(EdgeqError, match=r"no norm can take a scale.*smoothquant.places=all"):
        smoothquant.fold(block)
    before = block.statistics["attention.output.dense"].absmax
    smoothquant.fold(block, smoothquant.Options(places="all"))
    assert not torch.equal(block.statistics["attention.output.dense"].absmax, before)


@pytest.mark.parametrize("alpha", [-0.1, 1.5])
def test_migration_strengths_out_of_range_are_refused(alpha: float) -> None:
    with pytest.raises(EdgeqError, match=r"smoothquant.alpha: out of range"):
        smoothquant.fold(outlier_block("w4a8t"), smoothquant.Options(alpha=alpha))


@pytest.mark.parametrize("scheme", ["w4a8t", "w4a8ta-asym", "w3a8ta-dint", "w4a8g32", "w3a32"])
@torch.no_grad()
def test_never_worse_than_no_scale(scheme: str) -> None:
    block = foldable(_outlier_model(), scheme, rows=60)
    for place in block.folds():
        distortion = distortion_of(block, place, "minmax")
        before = distortion(torch.ones_like(block.statistics[place.layers[0]].absmax))
        assert distortion(aqas.best_scale(block, place, FEW)) <= before


@torch.no_grad()
def test_a_coarse_search_comes_near_the_full_one() -> None:
    block = outlier_block("w4a8ta-asym", outliers=5.0)
    (place,) = block.folds()
    distortion = distortion_of(block, place, "minmax")
    coarse, full = (distortion(aqas.best_scale(block, place, aqas.Options(search=s))) for s in SEARCHES)
    plain = distortion(torch.ones(64))
    assert full <= coarse <= full + 0.1 * (plain - full)
    assert full < plain


@pytest.mark.parametrize("scheme", ["w4a8t", "w4a8ta-asym"])
@torch.no_grad()
def test_outliers_of_the_activations_are_seen(scheme: str) -> None:
    """AWQ sees only rounded weights, which outliers with small weights do not touch."""
    block = outlier_block(scheme)
    (place,) = block.folds()
    distortion = distortion_of(block, place, "minmax")
    aware = distortion(aqas.best_scale(block, place, aqas.Options()))
    assert aware < 0.5 * distortion(awq.best_scale(block, place, awq.Options()))
    assert aware < 0.5 * distortion(torch.ones(64))


@torch.no_grad()
def test_nothing_changes_where_nothing_is_to_gain() -> None:
    model = any_model("llama")
    block = foldable(model, "w8a32")
    for layer in block.formats:  # levels of the format itself, one of them the outermost: rounding is exact
        weight = block.weight(layer)
        weight.copy_((weight * 512).round().clamp(-127, 127) / 512)
        weight[:, 0] = -0.25
    before = _weights(block)
    aqas.fold(block, FEW)
    after = _weights(block)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
