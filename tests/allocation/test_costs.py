# SPDX-License-Identifier: Apache-2.0
"""Times of products, measured here, and budgets of time, energy and bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.allocation.allocate import allocate
from edgeq.allocation.budget import Budget
from edgeq.allocation.candidates import parse_candidates
from edgeq.allocation.costs import LayerCosts, ProductCost, read_layer_costs
from edgeq.allocation.resources import Rest
from edgeq.allocation.sensitivity.table import LayerSensitivity, SchemeErrors, SensitivityTable
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.layer_timing import LayerRequest, time_layers
from edgeq.schemes import Scheme
from tests.allocation.conftest import TinyModel

SCHEMES = ("w2g32", "w4g32", "w8g32")


def layer(name: str, group: int, sensitivity: float) -> LayerSensitivity:
    errors = {
        scheme: SchemeErrors(weight=0.0, output=None, damage=sensitivity * 4.0 ** -int(scheme[1])) for scheme in SCHEMES
    }
    return LayerSensitivity(name=name, rows=64, columns=64, group=group, alpha=1.0, errors=errors)


TABLE = SensitivityTable(kind="noise", layers=[layer("q", 0, 1.0), layer("k", 0, 9.0), layer("o", 1, 1000.0)])


def costs(joules: float | None = 1e-9) -> LayerCosts:
    products = [
        ProductCost(
            rows=(64,) * count, columns=64, scheme=scheme, nanoseconds=100.0 * count * int(scheme[1]), joules=joules
        )
        for count in (1, 2)
        for scheme in SCHEMES
    ]
    return LayerCosts(device="local", board="x", threads=1, tokens=1, products=products)


def test_latency_is_not_exceeded_and_fused_layers_cost_as_they_were_measured() -> None:
    rest = Rest(products=((64, 64, "w8g32"),))
    budget = Budget(max_latency=2.01e-6, layer_costs="x")  # 0.8 for the rest, 0.4 and 0.8 for the two units
    found = allocate(TABLE, budget, rest, costs())
    assert found.layers == {"q": "w2g32", "k": "w2g32", "o": "w8g32"}
    assert found.record.used == {"--max-latency": "0.002 ms of 0.00201 ms"}
    with pytest.raises(EdgeqError, match=r"--max-latency: budget too small, found 0\.0001 ms, wanted at least 0\.0014"):
        allocate(TABLE, Budget(max_latency=1e-7, layer_costs="x"), rest, costs())


def test_products_that_were_not_fused_are_added_up() -> None:
    assert costs().find((64, 64, 64), 64, "w4g32").nanoseconds == pytest.approx(1200)
    with pytest.raises(EdgeqError, match="no 32×64 as w4g32"):
        costs().find((32,), 64, "w4g32")


def test_energy_needs_a_meter() -> None:
    assert allocate(TABLE, Budget(max_energy=1.0, layer_costs="x"), Rest(), costs()).layers["q"] == "w8g32"
    with pytest.raises(EdgeqError, match="--max-energy: no energy was measured"):
        allocate(TABLE, Budget(max_energy=1.0, layer_costs="x"), Rest(), costs(None))


def test_bits_count_scales_and_pinned_layers() -> None:
    sizes = {bits: UNIT * bits + 2 * 64 * 2 for bits in (2, 4, 8)}  # two groups of 32 columns: float16 scales
    pinned = Rest(linear_bytes=sizes[8], linear_weights=64 * 64)
    exact = 8 * (sizes[8] + 2 * sizes[2] + sizes[8]) / (4 * 64 * 64)
    found = allocate(TABLE, Budget(avg_bits=exact), pinned)
    assert found.layers == {"q": "w2g32", "k": "w2g32", "o": "w8g32"}
    below = allocate(TABLE, Budget(avg_bits=exact - 1e-6), pinned)
    assert below.layers["o"] != "w8g32"
    assert found.record.bits_per_weight == pytest.approx(8 * (2 * sizes[2] + sizes[8]) / (3 * 64 * 64))
    assert found.record.predicted_loss_change == pytest.approx(10 / 16 + 1000 / 4**8)
    assert [chosen.optimal_bits for chosen in found.record.layers] == sorted(
        chosen.optimal_bits for chosen in found.record.layers
    )
    split = allocate(TABLE, Budget(avg_bits=exact, split=True), pinned)
    assert split.record.predicted_loss_change is not None
    assert split.record.predicted_loss_change <= found.record.predicted_loss_change


UNIT = 64 * 64 // 8  # bytes of one bit of every weight


def test_budgets_are_checked() -> None:
    with pytest.raises(EdgeqError, match="budget: no budget, wanted one of --avg-bits"):
        Budget()
    with pytest.raises(EdgeqError, match="--max-latency: no costs of layers"):
        Budget(max_latency=1.0)


def test_files_of_costs_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text(costs().model_dump_json())
    assert read_layer_costs(path) == costs()
    path.write_text('{"device": "local"}')
    with pytest.raises(EdgeqError, match="wanted a file from edgeq profile --layers"):
        read_layer_costs(path)
    with pytest.raises(EdgeqError, match="--layer-costs: cannot read"):
        read_layer_costs(tmp_path / "absent")


def test_products_are_timed_through_the_agent(tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeq_devices.transports.local.SHARED_LOCK", str(tmp_path / "edgeq.lock"))
    schemes = parse_candidates(["w3g32", "w4a32g32-asym", "w2-bcq"])
    found = time_layers(
        LayerRequest(Checkpoint(tiny.checkpoint), schemes, Scheme.parse("w8g32"), threads=1, repetitions=4)
    )
    shapes = {(product.rows, product.columns) for product in found.products}
    assert {((32, 16, 16), 32), ((64, 64), 32), ((32,), 64), ((64,), 32)} <= shapes
    assert found.find((64,), 32, "w8g32").nanoseconds > 0  # the output head
    for scheme in map(str, schemes):
        assert 0 < found.find((32, 16, 16), 32, scheme).nanoseconds < 1e9
