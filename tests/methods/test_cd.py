# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest
import torch

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, CodebookFormat, Format, UniformFormat
from edgeq.methods import cd
from edgeq.methods.grids import GridOptions, assemble, restore
from edgeq.methods.pipeline import Pipeline
from edgeq.methods.rtn import round_groups
from tests.methods.layers import decode, random_inputs, random_weight, statistics_of

FORMATS = [UniformFormat(2, 32), UniformFormat(3, 0, symmetric=False), BcqFormat(2, 32), CodebookFormat(2, 0)]


def _objective(weight: torch.Tensor, other: torch.Tensor, gram: torch.Tensor, damping: float) -> float:
    error = (weight - other).double()
    return float(((error @ cd.damped(gram, damping).double()) * error).sum())


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_grids_are_restored_from_the_matrix(fmt: Format) -> None:
    tensor = round_groups(random_weight(9, 80), fmt, None, GridOptions())
    again = assemble(fmt, torch.from_numpy(tensor.codes), restore(fmt, tensor))
    assert torch.equal(decode(fmt, again), decode(fmt, tensor))


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
@pytest.mark.parametrize("damping", [0.0, 0.75])
def test_no_pass_raises_the_objective(fmt: Format, damping: float) -> None:
    weight, statistics = random_weight(9, 80), statistics_of(random_inputs(200, 80))
    tensor = Pipeline.parse("gptq").quantize(weight, fmt, statistics).tensor
    values = [_objective(weight, decode(fmt, tensor), statistics.gram, damping)]
    for passes in (1, 2, 3, 30):
        refined = cd.refine(tensor, fmt, weight, statistics, cd.Options(passes, damping, block_size=24))
        values.append(_objective(weight, decode(fmt, refined), statistics.gram, damping))
    assert all(after <= before * (1 + 1e-5) for before, after in itertools.pairwise(values))
    assert values[-1] < values[0]


def test_it_ends_where_no_single_code_can_be_bettered() -> None:
    fmt, weight = UniformFormat(2, 0, symmetric=False), random_weight(3, 32)
    statistics = statistics_of(random_inputs(100, 32))
    tensor = cd.refine(round_groups(weight, fmt, None, GridOptions()), fmt, weight, statistics, cd.Options(1000, 0.1))
    best = _objective(weight, decode(fmt, tensor), statistics.gram, 0.1)
    grid = restore(fmt, tensor)[0]
    for row, column, code in itertools.product(range(3), range(32), range(4)):
        codes = torch.from_numpy(tensor.codes).clone()
        codes[row, column] = code
        assert _objective(weight, grid.decode(codes), statistics.gram, 0.1) >= best * (1 - 1e-5)


def test_blocks_do_not_change_the_result() -> None:
    fmt, weight, statistics = UniformFormat(2, 32), random_weight(5, 96), statistics_of(random_inputs(300, 96))
    tensor = round_groups(weight, fmt, None, GridOptions())
    whole, blocked = (cd.refine(tensor, fmt, weight, statistics, cd.Options(3, 0.75, size)) for size in (96, 20))
    assert torch.equal(torch.from_numpy(whole.codes), torch.from_numpy(blocked.codes))


def test_dead_inputs_are_harmless() -> None:
    fmt, weight, inputs = UniformFormat(2, 32), random_weight(5, 64), random_inputs(300, 64)
    inputs[:, 7] = 0
    refined = cd.refine(
        round_groups(weight, fmt, None, GridOptions()), fmt, weight, statistics_of(inputs), cd.Options(3, 0.0)
    )
    assert torch.isfinite(decode(fmt, refined)).all()


def test_calibration_is_asked_for() -> None:
    fmt = UniformFormat(2, 32)
    tensor = round_groups(random_weight(2, 32), fmt, None, GridOptions())
    with pytest.raises(EdgeqError, match="needs calibration"):
        cd.refine(tensor, fmt, random_weight(2, 32), None)
