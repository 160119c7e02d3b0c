# SPDX-License-Identifier: Apache-2.0
"""Folding a scale changes no output, in every architecture."""

from __future__ import annotations

import pytest
import torch

from edgeq.calibration.blocks import find_blocks
from edgeq.calibration.observe import collect, input_groups
from edgeq.formats import UniformFormat
from edgeq.methods import awq, rtn
from edgeq.methods.folding import FOLDS, FoldableBlock
from edgeq.methods.pipeline import output_errors
from edgeq.quantization.skeleton import find_targets
from tests.calibration.test_blocks import ENCODERS, any_model, start
from tests.export.tiny_models import CONFIGS, VOCABULARY

pytestmark = pytest.mark.transformers
FORMAT = UniformFormat(3, 32)


def _foldable(model: torch.nn.Module) -> FoldableBlock:
    name = find_blocks(model)[0]
    block = model.get_submodule(name)
    layers = [t.name.removeprefix(f"{name}.") for t in find_targets(model) if t.name.startswith(f"{name}.")]
    runner = start(model)
    groups = input_groups(runner, block, name, layers)
    observed = zip(groups, collect(runner, block, name, groups), strict=True)
    statistics = {layer: found for group, found in observed for layer in group}
    return FoldableBlock(block, model.config, dict.fromkeys(layers, FORMAT), statistics)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*CONFIGS, *ENCODERS])
def test_folding_keeps_the_outputs(name: str) -> None:
    model = any_model(name)
    ids = torch.randint(3, VOCABULARY, (2, 20), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = model(input_ids=ids)[0]
        block = _foldable(model)
        places = block.folds()
        assert len(places) == len(FOLDS[model.config.model_type])
        generator = torch.Generator().manual_seed(3)
        for place in places:
            channels = block.statistics[place.layers[0]].absmax
            scale = block.shared(place, torch.rand(len(channels), generator=generator) + 0.5)
            block.apply(place, scale)
        after = model(input_ids=ids)[0]
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_statistics_follow_the_fold() -> None:
    model = any_model("llama")
    with torch.no_grad():
        block = _foldable(model)
        awq.fold(block)
        again = _foldable(model)
    for layer, found in block.statistics.items():
        torch.testing.assert_close(found.gram, again.statistics[layer].gram, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.mean_abs, again.statistics[layer].mean_abs, rtol=1e-4, atol=1e-5)


def test_awq_never_loses_to_rounding_as_it_is() -> None:
    model = any_model("llama")
    with torch.no_grad():
        model.model.layers[0].input_layernorm.weight[5] *= 30  # one channel with large inputs
        before, after = _foldable(model), _foldable(model)
        place = before.folds()[0]
        plain = _error(before, place.layers[0])
        scale = awq.best_scale(after, place, awq.Options())
        assert scale[5] > 1.5 * scale.median()
        after.apply(place, scale)
        assert _error(after, place.layers[0]) < plain


def _error(block: FoldableBlock, layer: str) -> float:
    statistics, weight = block.statistics[layer], block.weight(layer)
    tensor = rtn.quantize(weight, FORMAT, statistics, rtn.Options())
    return float(output_errors(tensor, FORMAT, weight, statistics).sum())
