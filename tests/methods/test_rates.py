# SPDX-License-Identifier: Apache-2.0
"""Methods whose codes are entropy-coded afterwards: the rate they were asked for, and what it costs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from edgeq.compression.entropy import rate
from edgeq.errors import EdgeqError
from edgeq.formats import DintFormat, UniformFormat
from edgeq.methods import ecgptq, ecsq, entquant, prune
from edgeq.methods.pipeline import Pipeline
from edgeq.methods.rate_search import SLOPE
from edgeq.methods.steps import RateOptions, StepFamily, code_counts
from tests.methods.layers import decode, output_error, random_inputs, random_weight, statistics_of

INT8 = UniformFormat(8)
SOLVERS: list[tuple[Any, Any]] = [(ecsq, ecsq.Options), (ecgptq, ecgptq.Options), (entquant, entquant.Options)]


def stored_bits(tensor: Any, measure: Any = "entropy") -> float:
    """Code bits and scales, per weight."""
    return rate(code_counts(torch.from_numpy(tensor.codes)), measure) + 16 * tensor.scales.size / tensor.codes.size


@pytest.mark.parametrize(("solver", "options"), SOLVERS, ids=["ecsq", "ecgptq", "entquant"])
@pytest.mark.parametrize("bits", [2.5, 4.0])
@pytest.mark.parametrize("group_size", [0, 64])
def test_the_rate_is_reached(solver: Any, options: Any, bits: float, group_size: int) -> None:
    weight, statistics = random_weight(48, 160), statistics_of(random_inputs(400, 160))
    tensor = solver.quantize(weight, UniformFormat(8, group_size), statistics, options(bits=bits))
    assert stored_bits(tensor) == pytest.approx(bits, abs=0.03)


def test_a_rate_may_be_counted_in_nibbles() -> None:
    tensor = ecsq.quantize(random_weight(64, 256), INT8, None, ecsq.Options(bits=4.5, rate="nibble"))
    assert stored_bits(tensor, "nibble") == pytest.approx(4.5, abs=0.02)


def test_a_generous_rate_keeps_the_finest_steps() -> None:
    weight = random_weight(8, 64)
    tensor = ecsq.quantize(weight, INT8, None, ecsq.Options(bits=12.0))
    finest = weight.abs().amax(1) / 127
    torch.testing.assert_close(torch.from_numpy(tensor.scales).float()[:, 0], finest, rtol=1e-3, atol=0)


def test_the_error_is_that_of_theory() -> None:
    """A Gaussian source at 4 bits: Δ²/12 with h(w) − log2 Δ = 4."""
    weight = random_weight(256, 512)
    tensor = ecsq.quantize(weight, INT8, None, ecsq.Options(bits=4.0 + 16 / 512))
    step = math.sqrt(2 * math.pi * math.e) / 2**4
    assert float((decode(INT8, tensor) - weight).square().mean()) == pytest.approx(step**2 / 12, rel=0.05)


def test_gptq_beats_rounding_and_int4_groups_at_fewer_bits() -> None:
    weight, inputs = random_weight(64, 256), random_inputs(1000, 256)
    statistics = statistics_of(inputs)
    plain = ecsq.quantize(weight, INT8, None, ecsq.Options(bits=3.6))
    swept = ecgptq.quantize(weight, INT8, statistics, ecgptq.Options(bits=3.6))
    int4 = UniformFormat(4, 128)
    grouped = Pipeline.parse("gptq").quantize(weight, int4, statistics).tensor
    errors = [
        output_error(weight, decode(fmt, t), inputs) for fmt, t in ((INT8, plain), (INT8, swept), (int4, grouped))
    ]
    assert errors[1] < 0.8 * errors[0]
    assert errors[1] < errors[2]


def test_a_slope_saves_bits_at_the_same_steps() -> None:
    """Entropy-constrained codes: the same steps, fewer bits, more error."""
    scaled = random_weight(32, 512) * 1.5
    lengths = torch.full((256,), 12.0)
    lengths[120:137] = (torch.arange(-8, 9).abs() + 1).float()
    nearest = ecsq.cheap_codes(scaled, lengths, 0.0, None, 8)
    cheap = ecsq.cheap_codes(scaled, lengths, SLOPE, None, 8)
    assert float(lengths[cheap.long()].mean()) < float(lengths[nearest.long()].mean())
    cost = [(scaled - (codes.float() - 128)).square() + SLOPE * lengths[codes.long()] for codes in (nearest, cheap)]
    assert (cost[1] <= cost[0]).all()


def test_zero_rows_and_dead_columns() -> None:
    weight, inputs = random_weight(6, 64), random_inputs(200, 64)
    weight[2] = 0
    inputs[:, 5] = 0
    for solver, options in SOLVERS:
        tensor = solver.quantize(weight, INT8, statistics_of(inputs), options(bits=3.0))
        assert (decode(INT8, tensor)[2] == 0).all()
        assert torch.isfinite(decode(INT8, tensor)).all()


@pytest.mark.parametrize("fmt", [UniformFormat(8, 0, symmetric=False), DintFormat(4, 0)], ids=str)
def test_other_formats_are_refused(fmt: Any) -> None:
    with pytest.raises(EdgeqError, match="coarser steps"):
        ecsq.quantize(random_weight(4, 64), fmt)


def test_senseless_requests_are_refused() -> None:
    with pytest.raises(EdgeqError, match="rate too low"):
        ecsq.quantize(random_weight(4, 64), INT8, None, ecsq.Options(bits=0.2))
    with pytest.raises(EdgeqError, match="finite"):
        ecsq.quantize(torch.full((4, 64), torch.nan), INT8)
    with pytest.raises(EdgeqError, match="calibration"):
        ecgptq.quantize(random_weight(4, 64), INT8, None)


def test_steps_follow_rows_as_far_as_spread_says() -> None:
    weight = random_weight(2, 512)
    weight[1] *= 4
    for spread, wanted in ((0.0, 1.0), (0.5, 2.0), (1.0, 4.0)):
        steps = StepFamily.of(weight, INT8, RateOptions(spread=spread)).steps(0.5)
        assert float(steps[1] / steps[0]) == pytest.approx(wanted, rel=0.1)


def test_entquant_minimises_its_objective() -> None:
    weight = random_weight(16, 256)
    start = weight.abs().amax(1, keepdim=True) / 127

    def objective(steps: torch.Tensor) -> float:
        codes = (weight / steps).round().clamp(-128, 127)
        distance = (codes * steps - weight).abs().sum() / weight.abs().sum()
        return float(distance + 10.0 * entquant.CODE_SCALE * codes.abs().mean())

    found = objective(entquant.optimise_scales(weight, start, INT8, 10.0, 100))
    grid = min(objective(start * 2**k) for k in torch.arange(0, 8, 0.25).tolist())
    assert found < 1.01 * grid


class TestPruning:
    def setup_method(self) -> None:
        self.weight, self.inputs = random_weight(24, 128), random_inputs(500, 128)
        self.statistics = statistics_of(self.inputs)
        self.tensor = ecsq.quantize(self.weight, INT8, None, ecsq.Options(bits=3.0))

    def prune(self, **options: Any) -> Any:
        return prune.refine(self.tensor, INT8, self.weight, self.statistics, prune.Options(**options))

    def test_every_row_reaches_the_ratio(self) -> None:
        pruned = self.prune(ratio=0.4)
        zeros = (pruned.codes == 128).sum(1)
        assert (zeros >= round(0.4 * 128)).all()
        assert ((pruned.codes == self.tensor.codes) | (pruned.codes == 128)).all()

    def test_weights_of_small_inputs_go_first(self) -> None:
        scores = decode(INT8, self.tensor).abs() * self.statistics.absmax
        pruned = torch.from_numpy(self.prune(ratio=0.4).codes == 128)
        gone = torch.where(pruned, scores, 0.0).amax(1)
        left = torch.where(pruned, torch.inf, scores).amin(1)
        assert (gone <= left).all()

    def test_it_stops_where_it_does_not_pay(self) -> None:
        free, dear = self.prune(price=50.0, error=3.0), self.prune(price=0.0)
        assert (dear.codes == self.tensor.codes).all()
        assert (free.codes == 128).sum() > (self.tensor.codes == 128).sum()
        before, after = (output_error(self.weight, decode(INT8, t), self.inputs) for t in (self.tensor, free))
        assert after <= 4 * before * 1.001
        assert stored_bits(free) < stored_bits(self.tensor)

    @pytest.mark.parametrize("ratio", [-0.1, 1.5])
    def test_wrong_ratios_are_refused(self, ratio: float) -> None:
        with pytest.raises(EdgeqError, match="ratio"):
            self.prune(ratio=ratio)


def test_the_vocabulary_gets_its_own_rate() -> None:
    pipeline = Pipeline.parse("ecgptq", {"ecgptq.vocabulary_bits": 4.5})
    assert str(pipeline.for_vocabulary()) == "ecsq"
    assert pipeline.for_vocabulary().solver.options.bits == 4.5
    assert str(Pipeline.parse("ecgptq").for_vocabulary()) == "rtn"


@pytest.mark.parametrize("error", [0.02, 0.15])
def test_an_error_may_be_kept_instead_of_a_rate(error: float) -> None:
    weight, inputs = random_weight(48, 160), random_inputs(400, 160)
    for solver, options in SOLVERS[:2]:
        tensor = solver.quantize(weight, INT8, statistics_of(inputs), options(error=error))
        found = output_error(weight, decode(INT8, tensor), inputs) / output_error(weight, 0 * weight, inputs)
        assert math.sqrt(found) == pytest.approx(error, rel=0.06)
    with pytest.raises(EdgeqError, match="output error"):
        ecsq.quantize(weight, INT8, None, ecsq.Options(error=0.0))
