# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from edgeq.calibration.blocks import BlockRunner, find_blocks
from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, CodebookFormat, Format, UniformFormat
from edgeq.methods import lwc, rtn
from edgeq.methods.folding import FoldableBlock
from edgeq.methods.registry import parse_methods
from tests.calibration.test_blocks import any_model, start
from tests.methods.layers import decode, random_weight

pytestmark = pytest.mark.transformers
FORMATS = [UniformFormat(bits, group, symmetric) for bits in (2, 3) for group in (0, 32) for symmetric in (True, False)]


@pytest.mark.parametrize("fmt", [*FORMATS, BcqFormat(3, 32)], ids=str)
def test_rounding_what_was_cut_gives_what_was_learned(fmt: Format) -> None:
    learned = lwc.LearnedRange(random_weight(9, 100), fmt)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for logit in (learned.low_logit, learned.high_logit):
            logit.copy_(torch.randn(logit.shape, generator=generator) + 1)
        wanted, cut = learned.rounded(), learned.clipped()
    found = decode(fmt, lwc.quantize(cut, fmt))
    differs = (found - wanted).abs() > 2e-3  # the stored scale is float16, so that a weight between two levels may turn
    assert differs.float().mean() < 0.01
    assert cut.abs().max() < random_weight(9, 100).abs().max()


@pytest.mark.parametrize(
    ("name", "fmt"), [("llama", UniformFormat(2, 32)), ("gpt2", UniformFormat(2, 0, symmetric=False))]
)
def test_learning_lowers_the_error_of_the_block(name: str, fmt: UniformFormat) -> None:
    errors = [_block_error(name, fmt, epochs) for epochs in (0, 60)]
    assert errors[1] < 0.85 * errors[0]


def _block_error(name: str, fmt: UniformFormat, epochs: int) -> float:
    """Squared change of a block's outputs, with its layers quantized after so many epochs; 0: their full range."""
    model = any_model(name)
    runner = start(model, samples=8)
    block_name = find_blocks(model)[0]
    block = model.get_submodule(block_name)
    wanted = _output(runner, block, block_name)
    layers = [key for key, module in block.named_modules() if getattr(module, "weight", torch.ones(1)).ndim == 2]
    foldable = FoldableBlock(block, model.config, dict.fromkeys(layers, fmt), {})
    lwc.prepare(foldable, runner, block_name, lwc.Options(epochs=epochs, learning_rate=0.1))
    for layer in layers:
        tensor = lwc.quantize(foldable.weight(layer), fmt)
        foldable.weight(layer).copy_(decode(fmt, tensor))
    return float((_output(runner, block, block_name) - wanted).square().sum())


@torch.no_grad()
def _output(runner: BlockRunner, block: torch.nn.Module, name: str) -> torch.Tensor:
    return runner.run(block, name, runner.hidden)


def test_formats_without_a_range_are_refused() -> None:
    with pytest.raises(EdgeqError, match="format codebook: no range to learn"):
        lwc.LearnedRange(random_weight(2, 32), CodebookFormat(3, 32))


def test_nothing_else_may_change_the_weights() -> None:
    with pytest.raises(EdgeqError, match="lwc learns from the original weights, found magr"):
        parse_methods("magr+lwc")
    assert [method.name for method in parse_methods("awq+lwc")] == ["awq", "lwc"]


def test_zero_weights_stay_zero() -> None:
    learned = lwc.LearnedRange(torch.zeros(2, 40), UniformFormat(3, 32)).requires_grad_(False)
    assert not learned.rounded().any()
    assert not decode(UniformFormat(3, 32), rtn.quantize(learned.clipped(), UniformFormat(3, 32))).any()
