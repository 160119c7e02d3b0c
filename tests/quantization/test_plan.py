# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from edgeq.errors import EdgeqError
from edgeq.quantization.plan import FP32, Plan, matches
from edgeq.schemes import Scheme


@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("lm_head", "lm_head", True),
        ("q_proj", "model.layers.0.self_attn.q_proj", True),
        ("layers.0.*", "model.layers.0.mlp.up_proj", True),
        ("*.mlp.*", "model.layers.0.mlp.up_proj", True),
        ("proj", "model.layers.0.mlp.up_proj", False),
        ("layers.1.*", "model.layers.11.mlp.up_proj", False),
        ("model", "model.layers.0", False),
    ],
)
def test_patterns_match_whole_names_and_ends(pattern: str, name: str, wanted: bool) -> None:
    assert matches(pattern, name) is wanted


def test_the_last_match_wins_and_skips_come_last() -> None:
    plan = Plan.build(Scheme.parse("w4"), layers={"mlp.*": "w3", "up_proj": "w8"}, skip=["layers.9.*"])
    assert str(plan.scheme_for("model.layers.0.mlp.up_proj")) == "w8"
    assert str(plan.scheme_for("model.layers.0.mlp.down_proj")) == "w3"
    assert plan.scheme_for("model.layers.9.mlp.up_proj") == FP32
    assert str(plan.scheme_for("lm_head")) == "w4"


def test_a_tied_layer_answers_to_both_names() -> None:
    plan = Plan.build(Scheme.parse("w4"), layers={"lm_head": "w8"})
    assert str(plan.scheme_for("model.embed_tokens", "lm_head")) == "w8"


def test_bad_scheme_in_an_override_is_refused() -> None:
    with pytest.raises(EdgeqError, match="unknown scheme, found '4bit'"):
        Plan.build(Scheme.parse("w4"), layers={"lm_head": "4bit"})


def test_the_vocabulary_has_a_scheme_of_its_own() -> None:
    plan = Plan.build(Scheme.parse("w4"), {"lm_head": "w3"}, vocabulary=Scheme.parse("w8"))
    assert str(plan.scheme_for("embed_tokens", vocabulary=True)) == "w8"
    assert str(plan.scheme_for("lm_head", vocabulary=True)) == "w3"
    assert str(plan.scheme_for("q_proj")) == "w4"
