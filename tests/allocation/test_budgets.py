# SPDX-License-Identifier: Apache-2.0
"""``edgeq export`` with a budget: the plan, what is recorded, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeq.bundle.manifest import read_manifest
from edgeq.cli.console import parse_bytes
from tests.allocation.conftest import TinyModel
from tests.cli.conftest import Edgeq, edgeq

__all__ = ["edgeq"]
pytestmark = pytest.mark.transformers


@pytest.fixture
def options(tiny: TinyModel, tmp_path: Path) -> tuple[object, ...]:
    text = ("--calibration", tiny.tokens, "--samples", 4, "--length", 16)
    groups = ("--scheme", "w4g32", "--sensitivity", "output", "--cache", tmp_path / "cache")
    return ("export", tiny.checkpoint, *text, *groups)


def test_a_plan_within_average_bits(edgeq: Edgeq, options: tuple[object, ...]) -> None:
    plan = json.loads(edgeq(*options, "--avg-bits", 4.5, "--dry-run", "--json").out)
    linear = [layer for layer in plan["layers"] if layer["name"].startswith("model.layers.")]
    stored = 8 * sum(layer["size"] for layer in linear) / sum(layer["rows"] * layer["columns"] for layer in linear)
    assert 4 < stored <= 4.5
    allocation = plan["allocation"]
    assert allocation["bits_per_weight"] == pytest.approx(stored)
    assert allocation["budget"] == {"avg_bits": 4.5}
    assert allocation["candidates"] == ["w2g32", "w3g32", "w4g32", "w8g32"]
    schemes = {layer["name"]: layer["scheme"] for layer in plan["layers"]}
    assert {layer["name"]: layer["scheme"] for layer in allocation["layers"]}.items() <= schemes.items()
    assert len({schemes[f"model.layers.0.self_attn.{name}_proj"] for name in "qkv"}) == 1


def test_the_plan_as_a_table(edgeq: Edgeq, options: tuple[object, ...]) -> None:
    outcome = edgeq(*options, "--avg-bits", 4.5, "--dry-run")
    assert "closed form" in outcome.out
    assert "Allocated by output (exact): --avg-bits 4." in outcome.out


def test_layers_that_are_named_keep_their_schemes(edgeq: Edgeq, options: tuple[object, ...]) -> None:
    named = ("--layer", "layers.0.*=w8g32", "--skip", "layers.1.self_attn.o_proj")
    plan = json.loads(edgeq(*options, *named, "--avg-bits", 8, "--dry-run", "--json").out)
    schemes = {layer["name"]: layer["scheme"] for layer in plan["layers"]}
    assert schemes["model.layers.0.mlp.up_proj"] == "w8g32"
    assert schemes["model.layers.1.self_attn.o_proj"] == "fp32"
    assert {layer["name"].split(".")[2] for layer in plan["allocation"]["layers"]} == {"1"}


def test_a_bundle_within_a_size(edgeq: Edgeq, options: tuple[object, ...], tmp_path: Path) -> None:
    """The least size that is refused leads to one that is met."""
    refused = edgeq(*options, "--max-size", "1kB", "--dry-run")
    assert refused.code == 2
    text = refused.err.partition("wanted at least ")[2].partition(",")[0]
    least = parse_bytes(text, "")
    output = tmp_path / "out"
    outcome = edgeq(*options, "--max-size", text, "-o", output)
    assert outcome.code == 0, outcome.err
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    assert 0.8 * least < size <= least
    manifest = read_manifest(output)
    record = manifest.allocation
    assert record is not None
    assert record.budget == {"max_size": least}
    stored = {layer.name: layer.scheme for layer in manifest.layers}
    assert {layer.name: layer.scheme for layer in record.layers}.items() <= stored.items()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--avg-bits", 1), "--avg-bits: budget too small, found 1 bits per weight, wanted at least"),
        (("--avg-bits", -1), "budget.avg_bits: Input should be greater than 0"),
        (("--max-size", "lots"), "--max-size: not a size"),
        (("--max-latency", "fast"), "--max-latency: not a time, found 'fast', wanted such as 50ms"),
        (("--max-latency", "5ms"), "--max-latency: no costs of layers; add --device, or --layer-costs FILE"),
        (("--avg-bits", 4, "--candidates", "w4g32"), "--candidates: nothing to choose"),
        (("--avg-bits", 4, "--candidates", "w4g32,w9"), "unsupported bits, found 9"),
        (("--avg-bits", 4, "--portable"), "--avg-bits: no budget for stock operators"),
        (("--avg-bits", 4, "--method", "lorc"), "--avg-bits: a budget counts codes and scales only"),
        (("--avg-bits", 4, "--skip", "layers.*"), "budget: no layers to allocate"),
        (("--candidates", "w4g32,w8g32"), "budget: no budget, wanted one of --avg-bits"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_refused(
    edgeq: Edgeq, options: tuple[object, ...], arguments: tuple[object, ...], message: str
) -> None:
    outcome = edgeq(*options, *arguments, "--dry-run")
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_latency_from_times_measured_here(edgeq: Edgeq, options: tuple[object, ...], tmp_path: Path) -> None:
    """Profiled once to a file, and once on the way; the second export finds the times again."""
    model, costs, schemes = options[1], tmp_path / "costs.json", ("--candidates", "w2g32,w4g32")
    measured = edgeq("profile", model, "--layers", *schemes, "-r", 1, "-t", 1, "-o", costs)
    assert (measured.code, measured.out) == (0, "")
    products = json.loads(costs.read_text())["products"]
    assert {product["scheme"] for product in products} == {"w2g32", "w4g32", "w8g128"}

    arguments = (*options, *schemes, "--max-latency", "1000s", "--device", "local", "--dry-run", "--json")
    plan = json.loads(edgeq(*arguments).out)
    (file,) = (tmp_path / "cache").glob("layer-costs-*.json")
    assert plan["recipe"]["budget"]["layer_costs"] == str(file)
    assert {layer["scheme"] for layer in plan["allocation"]["layers"]} == {"w4g32"}
    assert " ms of 1e+06 ms" in plan["allocation"]["used"]["--max-latency"]
    before = file.stat().st_mtime_ns
    assert edgeq(*arguments).code == 0
    assert file.stat().st_mtime_ns == before


def test_memory_counts_keys_and_values(edgeq: Edgeq, options: tuple[object, ...]) -> None:
    """Two blocks, a head of 16 in float32, 64 positions: 16 kB, a quarter of that as bytes."""
    least = []
    for cache in ((), ("--kv-cache", "kv8")):
        error = edgeq(*options, *cache, "--max-memory", "1MB", "--dry-run").err
        least.append(float(error.partition("wanted at least ")[2].partition(" MB")[0]))
    assert 75 < least[1] <= least[0] < 76
