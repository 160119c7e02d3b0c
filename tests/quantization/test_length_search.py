# SPDX-License-Identifier: Apache-2.0
"""The calibration length by held-out windows, and how a recipe asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeq.calibrating import read_recipe_calibration
from edgeq.calibration.data import WindowSource
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.quantization import length_search
from edgeq.quantization.length_search import search_length
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint
from edgeq.recipe import build_recipe
from edgeq.schemes import Scheme
from tests.quantization.conftest import save_llama

pytestmark = pytest.mark.transformers


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    directory = tmp_path_factory.mktemp("context")
    save_llama(directory, max_position_embeddings=256)
    return Checkpoint(directory)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tokens") / "ids.npy"
    np.save(file, np.random.default_rng(0).integers(0, 50, 4000))
    return file


@pytest.fixture(autouse=True)
def few_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(length_search, "CALIBRATION_TOKENS", 512)
    monkeypatch.setattr(length_search, "VALIDATION_TOKENS", 256)


def _recipe(file: Path, **fields: Any) -> Any:
    return build_recipe(model="unused", calibration=str(file), samples=4, scheme="w4a8ta", method="aqas+gptq", **fields)


def test_the_length_of_least_error_is_taken(checkpoint: Checkpoint, tokens: Path) -> None:
    plan = Plan.build(Scheme.parse("w3a8t"), method="gptq")
    choice = search_length(checkpoint, plan, WindowSource.open(checkpoint, tokens))
    assert set(choice.distortions) == {64, 128}  # 512 and 2048 are beyond the context
    assert choice.length == min(choice.distortions, key=lambda length: choice.distortions[length])
    assert 0 < choice.distortions[choice.length] < 1
    assert f"{choice.length}: {100 * choice.distortions[choice.length]:.3f} %" in choice.reason
    again = search_length(checkpoint, plan, WindowSource.open(checkpoint, tokens))
    assert again == choice


def test_nearly_exact_schemes_err_little(checkpoint: Checkpoint, tokens: Path) -> None:
    errors = [
        search_length(checkpoint, Plan.build(Scheme.parse(scheme)), WindowSource.open(checkpoint, tokens)).distortions
        for scheme in ("w8a8t", "w3a8t")
    ]
    for length in errors[0]:
        assert errors[0][length] < 0.2 * errors[1][length]


def test_held_out_text_is_not_calibrated_on(checkpoint: Checkpoint, tokens: Path) -> None:
    fitted, held_out = WindowSource.open(checkpoint, tokens).split(0.75)
    assert (fitted.tokens, held_out.tokens) == (3000, 1000)
    whole = np.concatenate([*fitted.rows, *held_out.rows])
    assert np.array_equal(whole, np.load(tokens))


@pytest.mark.parametrize(
    ("fields", "length", "reason"),
    [
        ({}, 256, None),
        ({"length": 32}, 32, None),
        ({"length": "auto", "task_lengths": "20+40"}, 64, "up to 60 tokens"),
        ({"task_lengths": "100-200"}, 128, "up to 158 tokens"),
    ],
)
def test_recipes_choose_lengths(
    checkpoint: Checkpoint, tokens: Path, fields: dict[str, Any], length: int, reason: str | None
) -> None:
    recipe = _recipe(tokens, **fields)
    calibration = read_recipe_calibration(recipe, checkpoint, recipe.plan(), None)
    assert calibration is not None
    record = calibration.record()
    assert (record.length, calibration.data.ids.shape[1]) == (length, length)
    assert record.length_reason is None if reason is None else reason in str(record.length_reason)


def test_a_recipe_searches_without_task_lengths(checkpoint: Checkpoint, tokens: Path) -> None:
    recipe = _recipe(tokens, length="auto").model_copy(update={"method": "rtn"})
    calibration = read_recipe_calibration(recipe, checkpoint, recipe.plan(), None)
    assert calibration is not None
    assert "least error on held-out windows" in str(calibration.record().length_reason)


@pytest.mark.parametrize(
    ("name", "text", "windows", "length", "reason"),
    [
        ("a.txt", 60 * "A man plays a flute.\n" + "\n", 4 * 512 // 8, 8, "texts of the calibration file: half of"),
        (
            "a.jsonl",
            90 * '{"text": "A man plays a flute while the others are dancing."}\n',
            4 * 512 // 16,
            16,
            "texts of",
        ),
        ("one.txt", 400 * "A man plays a flute. ", 4, 512, None),
    ],
)
def test_encoders_read_windows_as_long_as_the_texts(
    minilm: Path, tmp_path: Path, name: str, text: str, windows: int, length: int, reason: str | None
) -> None:
    file = tmp_path / name
    file.write_text(text)
    recipe = _recipe(file)
    calibration = read_recipe_calibration(recipe, Checkpoint(minilm), recipe.plan(), None)
    assert calibration is not None
    assert calibration.data.ids.shape == (windows, length)
    assert calibration.length_reason is None if reason is None else reason in str(calibration.length_reason)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"length": 64, "task_lengths": "64"}, "--length: two calibration lengths"),
        ({"length": 512}, "--length: out of range, found 512, wanted 8 to 256"),
        ({"task_lengths": "64:9,300:1"}, "longer than the model's context, found 300 tokens, wanted at most 256"),
        ({"task_lengths": "long"}, "--task-lengths: not lengths of tasks"),
    ],
)
def test_lengths_that_cannot_be_are_refused(
    checkpoint: Checkpoint, tokens: Path, fields: dict[str, Any], message: str
) -> None:
    recipe = _recipe(tokens, **fields)
    with pytest.raises(EdgeqError, match=message):
        read_recipe_calibration(recipe, checkpoint, recipe.plan(), None)


def test_a_length_without_calibration_is_refused(checkpoint: Checkpoint) -> None:
    recipe = build_recipe(model="unused", length="auto")
    with pytest.raises(EdgeqError, match="no calibration whose length to choose"):
        read_recipe_calibration(recipe, checkpoint, recipe.plan(), None)


def test_short_texts_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.arange(40))
    plan = Plan.build(Scheme.parse("w4"))
    with pytest.raises(EdgeqError, match=r"calibration too short.*at least 64 of both"):
        search_length(checkpoint, plan, WindowSource.open(checkpoint, tmp_path / "short.npy"))


def test_weights_and_activations_that_are_not_finite_are_told_by_layer(tmp_path: Path, tokens: Path) -> None:
    model = save_llama(tmp_path, max_position_embeddings=256)
    for value, message in (
        (float("nan"), r"model\.layers\.1\.mlp\.up_proj: weights are not finite"),
        (1e38, r"inputs of model\.layers\.1\.mlp\.down_proj: activations are not finite"),
    ):
        model.model.layers[1].mlp.up_proj.weight.data[3, 4] = torch.tensor(value)
        model.model.layers[1].mlp.gate_proj.weight.data[3] = 100 * model.model.layers[1].mlp.gate_proj.weight.data[3]
        model.save_pretrained(tmp_path)
        recipe = _recipe(tokens, length=32)
        checkpoint = Checkpoint(tmp_path)
        calibration = read_recipe_calibration(recipe, checkpoint, recipe.plan(), None)
        with pytest.raises(EdgeqError, match=message):
            quantize_checkpoint(checkpoint, recipe.plan(), None, calibration)
