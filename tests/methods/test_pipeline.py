# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import torch

from edgeq.errors import EdgeqError
from edgeq.formats import UniformFormat
from edgeq.methods import gptq
from edgeq.methods.options import BETAS
from edgeq.methods.pipeline import Pipeline, output_errors
from tests.methods.test_gptq import observed, weights

FORMAT = UniformFormat(3, 0, symmetric=False)


def test_methods_come_in_the_order_of_their_stages() -> None:
    assert str(Pipeline.parse("awq+magr+gptq")) == "awq+magr+gptq"
    assert str(Pipeline.parse("magr")) == "magr+rtn"


def test_options_reach_their_method() -> None:
    pipeline = Pipeline.parse("magr+gptq", {"gptq.act_order": "true", "gptq.beta": "auto", "gptq.clip": "minmax"})
    options = pipeline.solver.options
    assert isinstance(options, gptq.Options)
    assert options.act_order
    assert (options.grid.beta, options.grid.clip) == ("auto", "minmax")
    assert pipeline.describe() == "magr+gptq gptq.act_order=True gptq.beta=auto gptq.clip=minmax"


BAD = [
    ("nothing", {}, "unknown method, found 'nothing', wanted"),
    ("gptq+magr", {}, r"methods out of order, found gptq\+magr, wanted magr\+gptq"),
    ("gptq+gptq", {}, r"methods out of order, found gptq\+gptq, wanted gptq"),
    ("rtn+gptq", {}, "two methods that choose codes"),
    ("awq+aqas", {}, "two methods that fold scales"),
    ("rtn", {"gptq.act_order": True}, "option of no method, found 'gptq.act_order', wanted rtn.FIELD"),
    ("gptq", {"act_order": True}, "option of no method, found 'act_order'"),
    ("gptq", {"gptq.nothing": 1}, "unknown option, found gptq.nothing, wanted damping or"),
    ("gptq", {"gptq.damping": "much"}, "--method-option: .*, found gptq.damping=much"),
    ("gptq", {"gptq.beta": "-1"}, "greater than 0, found gptq.beta=-1"),
    ("gptq", {"gptq.damping": "nan"}, "finite number, found gptq.damping=nan"),
    ("gptq", {"gptq.block_size": 0}, "greater than or equal to 1, found gptq.block_size=0"),
    ("gptq+cd", {"cd.damping": -1.0}, "greater than or equal to 0, found cd.damping=-1"),
    ("gptq+refit", {"refit.rounds": -1}, "greater than or equal to 0, found refit.rounds=-1"),
    ("magr+gptq", {"magr.alpha": "-1"}, "greater than or equal to 0, found magr.alpha=-1"),
    ("ecsq", {"ecsq.bits": "nan"}, "finite number, found ecsq.bits=nan"),
    ("aqas", {"aqas.steps": 0}, "greater than or equal to 1, found aqas.steps=0"),
    ("outliers+gptq", {"outliers.far": 1.0}, "less than 1, found outliers.far=1"),
]


@pytest.mark.parametrize(("methods", "options", "message"), BAD)
def test_what_does_not_exist_is_refused(methods: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgeqError, match=message):
        Pipeline.parse(methods, options)


@pytest.mark.parametrize("solver", ["rtn", "gptq"])
def test_a_search_keeps_the_best_range_of_every_row(solver: str) -> None:
    weight, statistics = weights(30, 96), observed(96)
    clip = {f"{solver}.clip": "minmax"}
    found = Pipeline.parse(solver, {f"{solver}.beta": "auto", **clip}).quantize(weight, FORMAT, statistics)
    errors = output_errors(found.tensor, FORMAT, weight, statistics)
    fixed = [Pipeline.parse(solver, {f"{solver}.beta": beta, **clip}) for beta in BETAS]
    all_errors = torch.stack(
        [output_errors(p.quantize(weight, FORMAT, statistics).tensor, FORMAT, weight, statistics) for p in fixed]
    )
    torch.testing.assert_close(errors, all_errors.amin(0))
    assert len(all_errors.argmin(0).unique()) > 1


def test_a_search_needs_calibration() -> None:
    pipeline = Pipeline.parse("rtn", {"rtn.beta": "auto"})
    assert pipeline.calibrated
    assert not Pipeline.parse("rtn").calibrated
    with pytest.raises(EdgeqError, match="a search needs calibration"):
        pipeline.quantize(weights(2, 32), FORMAT, None)


def test_output_errors_are_those_of_the_outputs() -> None:
    inputs, weight = torch.randn(64, 48, generator=torch.Generator().manual_seed(0)), weights(6, 48)
    from edgeq.calibration.statistics import StatisticsAccumulator

    sums = StatisticsAccumulator(48)
    sums.add(inputs)
    statistics = sums.result()
    tensor = Pipeline.parse().quantize(weight, FORMAT, None).tensor
    difference = inputs.double() @ (torch.from_numpy(FORMAT.decode(tensor)) - weight).double().T  # type: ignore[arg-type]
    found = output_errors(tensor, FORMAT, weight, statistics)  # of products of inputs in float32
    torch.testing.assert_close(found, difference.square().sum(0), rtol=1e-5, atol=0)
