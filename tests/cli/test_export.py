# SPDX-License-Identifier: Apache-2.0
"""``edgeq export``: what it writes, and one clear line for each kind of bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgeq.presets import choose
from tests.cli.conftest import Edgeq


@pytest.fixture
def model(books_6m: Path, tmp_path: Path) -> Path:
    """A copy of the example checkpoint that a test may damage."""
    return Path(shutil.copytree(books_6m, tmp_path / "model"))


def test_dry_run_shows_the_plan_and_writes_nothing(edgeq: Edgeq, books_6m: Path, tmp_path: Path) -> None:
    outcome = edgeq(
        "export", books_6m, "--bits", 3, "--layer", "lm_head=w8g64", "-o", tmp_path / "out", "--dry-run", "--json"
    )
    assert outcome.code == 0
    plan = json.loads(outcome.out)
    assert plan["recipe"]["scheme"] == "w3g64"
    schemes = {layer["name"]: layer["scheme"] for layer in plan["layers"]}
    assert schemes["model.embed_tokens"] == "w8g64"
    assert schemes["model.layers.5.mlp.down_proj"] == "w3g64"
    assert plan["estimate"]["data_bytes"] == sum(layer["size"] for layer in plan["layers"])
    assert not (tmp_path / "out").exists()


def test_dry_run_prints_a_table(edgeq: Edgeq, books_6m: Path) -> None:
    outcome = edgeq("export", books_6m, "--dry-run")
    assert "model.layers.0.self_attn.q_proj" in outcome.out
    assert "Estimated:" in outcome.out


def test_estimates_grow_with_the_search_for_scales(edgeq: Edgeq, books_6m: Path) -> None:
    def seconds(method: str, *more: object) -> float:
        text = books_6m.parent / "evaluation.txt"
        arguments = ("--scheme", "w4a8-dint", "--method", method, "--calibration", text, "--samples", 4, *more)
        outcome = edgeq("export", books_6m, *arguments, "--dry-run", "--json")
        return float(json.loads(outcome.out)["estimate"]["seconds"])

    plain, observed, searched = (seconds(method) for method in ("gptq", "smoothquant+gptq", "aqas+gptq"))
    whole = seconds("aqas+gptq", "--method-option", "aqas.search=full")
    assert plain < observed < searched < whole
    assert (whole - observed) / (searched - observed) == pytest.approx(21**2 / 75)


def test_recipes_round_trip(edgeq: Edgeq, books_6m: Path, tmp_path: Path) -> None:
    text = books_6m.parent / "evaluation.txt"
    arguments = (
        "--scheme",
        "w3g64-bcq",
        "--skip",
        "layers.0.*",
        "--clip",
        "minmax",
        "--method",
        "awq+gptq",
        "--method-option",
        "gptq.damping=0.02",
        "--calibration",
        text,
        "--samples",
        4,
        "--seed",
        3,
    )
    first = edgeq("export", books_6m, *arguments, "--save-recipe", tmp_path / "r.toml", "--dry-run", "--json")
    again = edgeq("export", "--recipe", tmp_path / "r.toml", "--dry-run", "--json")
    assert again.code == 0
    assert json.loads(again.out) == json.loads(first.out)


def test_quality_chooses_scheme_and_method(
    edgeq: Edgeq, books_6m: Path, evaluation_text: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = ("export", books_6m, "--bits", 3, "--quality", "best", "--dry-run", "--json")
    for calibration in ((), ("--calibration", evaluation_text)):
        settings = choose(3, "best", calibrated=bool(calibration))
        caplog.clear()
        recipe = json.loads(edgeq(*arguments, *calibration).out)["recipe"]
        assert (recipe["scheme"], recipe["method"]) == (settings.scheme, settings.method)
        assert recipe["method_options"] == dict(settings.options)
        assert ("no calibration: best at 3 bits uses" in caplog.text) == (not calibration)


BAD_ARGUMENTS = [
    (("--bits", 5), "unsupported bits, found 5, wanted 2, 3, 4 or 8"),
    (("--bits", 4, "--group-size", 100), "unsupported group size, found 100"),
    (("--scheme", "w4q"), "unknown scheme, found 'w4q'"),
    (("--scheme", "w4", "--bits", 4), "--scheme: two schemes"),
    (("--quality", "great"), "--quality: unknown quality, found great, wanted fast or balanced or best"),
    (("--quality", "best", "--method", "gptq"), "--method: two methods"),
    (("--layer", "lm_head"), "--layer: malformed override, found 'lm_head', wanted PATTERN=SCHEME"),
    (("--layer", "nonsense=w8"), "pattern matches no layer, found 'nonsense'"),
    (("--seed", -1), "seed: Input should be greater than or equal to 0, found -1"),
    (("--method", "bcq"), "bcq makes bcq weights, found w4g128, wanted a scheme in the format bcq"),
    (("--bits-per-weight", 3.6, "--bits", 4), "--bits-per-weight: two sizes of weights, found 3.6 beside --bits"),
    (("--bits-per-weight", 3.6, "--quality", "best"), "--bits-per-weight: two sizes of weights"),
    (("--layer", "q_proj=w3a8s"), "static scales of activations need calibration, found w3a8s"),
    (("--clip", "median"), "clip: Input should be 'minmax', 'mse' or 'l3'"),
    (("--method", "gpt"), "--method: unknown method, found 'gpt'"),
    (("--method", "gptq"), "--method: method needs calibration, found gptq; add --calibration FILE"),
    (("--method", "gptq", "--calibration", "/none.txt"), "/none.txt: cannot read text"),
    (("--method", "gptq", "--method-option", "gptq.order"), "--method-option: malformed option, found 'gptq.order'"),
    (
        ("--method-option", "rtn.order=1"),
        "--method-option: unknown option, found rtn.order, wanted gamma_scope or clip or beta or gamma",
    ),
    (("--magr-alpha", "auto"), "--method-option: option of no method, found 'magr.alpha'"),
    (("--memory", "much"), "--memory: not a size, found 'much', wanted a number of bytes, such as 4GB"),
    (("--recipe", "/nowhere.toml"), "/nowhere.toml: cannot read the recipe"),
    (("--scheme", "w3g64", "--portable"), "w3g64"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS, ids=lambda value: str(value)[:40])
def test_bad_arguments(
    edgeq: Edgeq, books_6m: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    outcome = edgeq("export", books_6m, "-o", tmp_path / "out", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_no_model(edgeq: Edgeq, tmp_path: Path) -> None:
    outcome = edgeq("export", "--bits", 4, "-o", tmp_path / "out")
    assert (outcome.code, outcome.out) == (2, "")
    assert "no model; give a checkpoint directory" in outcome.err


def test_a_dry_run_refuses_a_cache_without_calibration(edgeq: Edgeq, books_6m: Path) -> None:
    outcome = edgeq("export", books_6m, "--kv-cache", "kv8", "--dry-run")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--kv-cache: scales of the key-value cache need calibration" in outcome.err


def test_a_dry_run_refuses_a_solver_of_another_format(edgeq: Edgeq, books_6m: Path) -> None:
    outcome = edgeq("export", books_6m, "--scheme", "w3-codebook", "--method", "bcq", "--dry-run")
    assert (outcome.code, outcome.out) == (2, "")
    assert "model.layers.0.self_attn.q_proj: bcq makes bcq weights, found w3-codebook" in outcome.err


def test_what_is_read_is_not_replaced(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "text.txt").write_text("Once upon a time. " * 200)
    calibrated = ("--method", "gptq", "--calibration", tmp_path / "out" / "text.txt")
    for output, more in ((model, ()), (tmp_path, ()), (tmp_path / "out", calibrated)):
        outcome = edgeq("export", model, "-o", output, "--force", *more)
        assert (outcome.code, outcome.out) == (2, "")
        assert f"{output}: output would replace its own source" in outcome.err
    assert (tmp_path / "out" / "text.txt").exists()


def test_no_output_directory(edgeq: Edgeq, books_6m: Path) -> None:
    outcome = edgeq("export", books_6m)
    assert outcome.code == 2
    assert "no output directory" in outcome.err


def _damage_pickle(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def _damage_architecture(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(
        json.dumps(config | {"model_type": "warp", "architectures": ["WarpForCausalLM"]})
    )


def _damage_truncate(model: Path) -> None:
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[:-100])


def _damage_shape(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"intermediate_size": 800}))


def _damage_remove(model: Path) -> None:
    shutil.rmtree(model)


BAD_MODELS = [
    (_damage_remove, "no such model"),
    (_damage_pickle, "no safetensors weights (pickle files can run code when they are read)"),
    (_damage_architecture, "model_type: unknown architecture, found warp"),
    (_damage_truncate, "truncated safetensors file"),
    (_damage_shape, "wrong shape, found [768, 256], wanted [800, 256]"),
]


@pytest.mark.parametrize(("damage", "message"), BAD_MODELS, ids=lambda value: getattr(value, "__name__", ""))
def test_bad_models(edgeq: Edgeq, model: Path, tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    damage(model)
    outcome = edgeq("export", model, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert [path.name for path in tmp_path.iterdir() if path.name != "model"] == []


def test_output_directory_that_is_not_empty_is_kept(edgeq: Edgeq, books_6m: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    outcome = edgeq("export", books_6m, "-o", tmp_path)
    assert outcome.code == 2
    assert "output directory not empty" in outcome.err
    assert "--force" in outcome.err
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_verbs_are_listed(edgeq: Edgeq) -> None:
    outcome = edgeq("--help")
    assert outcome.code == 0
    for verb in ("export", "run", "eval", "profile", "inspect", "doctor"):
        assert verb in outcome.out
