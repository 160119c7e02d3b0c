# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import EdgeqError
from edgeq.recipe import Recipe, build_recipe, save_recipe


def test_saved_recipes_read_back(tmp_path: Path) -> None:
    recipe = Recipe(
        model="m", scheme="w3g64-bcq", layers={"lm_head": "w8g64", "*.mlp.*": "w4"}, skip=["layers.0.*"], portable=True
    )
    save_recipe(recipe, tmp_path / "r.toml")
    assert build_recipe(tmp_path / "r.toml") == recipe
    assert list(build_recipe(tmp_path / "r.toml").layers) == ["lm_head", "*.mlp.*"]


def test_what_is_given_overrides_the_file(tmp_path: Path) -> None:
    save_recipe(Recipe(model="m", scheme="w3"), tmp_path / "r.toml")
    changed = build_recipe(tmp_path / "r.toml", scheme="w8", skip=None)
    assert (changed.model, changed.scheme, changed.skip) == ("m", "w8", [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scheme = 'w4'", r"r\.toml: model: Field required"),
        ("model = 'm'\nbits = 4", r"r\.toml: bits: Extra inputs are not permitted"),
        ("model = 'm'\nclip = 'median'", r"r\.toml: clip: Input should be 'minmax', 'mse' or 'l3'"),
        ("model = 'm'\nskip = 'x'", r"r\.toml: skip: Input should be a valid list"),
        ("model =", r"r\.toml: cannot read the recipe"),
    ],
)
def test_bad_recipes_name_file_and_field(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(EdgeqError, match=message):
        build_recipe(tmp_path / "r.toml")


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match=r"none\.toml: cannot read the recipe"):
        build_recipe(tmp_path / "none.toml")


def test_recipes_become_plans() -> None:
    plan = Recipe(model="m", scheme="w3", layers={"lm_head": "w8"}, skip=["layers.0.*"]).plan()
    assert str(plan.scheme_for("lm_head")) == "w8"
    assert str(plan.scheme_for("model.layers.0.q")) == "fp32"
    assert str(plan.scheme_for("model.layers.1.q")) == "w3"
