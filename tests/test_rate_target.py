# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from edgeq.errors import EdgeqError
from edgeq.rate_target import apply_rate
from edgeq.recipe import Recipe


def test_methods_follow_calibration() -> None:
    plain = apply_rate(Recipe(model="m"), 3.6, scheme=None, method=None)
    assert (plain.scheme, plain.method, plain.compress) == ("w8", "ecsq", "load")
    assert plain.method_options == {"ecsq.bits": 3.6, "ecsq.vocabulary_bits": pytest.approx(5.1)}
    assert apply_rate(Recipe(model="m", calibration="c"), 3.6, scheme=None, method=None).method == "ecgptq"
    plain.plan()  # the options exist


def test_what_the_user_names_is_kept() -> None:
    recipe = Recipe(model="m", calibration="c", compress="use", method_options={"entquant.vocabulary_bits": 4})
    changed = apply_rate(recipe, 3.0, scheme="w8g64", method="balance+entquant")
    assert (changed.scheme, changed.method, changed.compress) == ("w8g64", "balance+entquant", "use")
    assert changed.method_options == {"entquant.bits": 3.0, "entquant.vocabulary_bits": 4}
    assert apply_rate(recipe, None, scheme=None, method=None) == recipe


@pytest.mark.parametrize(("bits", "method"), [(3.0, "gptq"), (0.0, None), (-1.0, None)])
def test_senseless_requests_are_refused(bits: float, method: str | None) -> None:
    with pytest.raises(EdgeqError, match=r"rate|bits"):
        apply_rate(Recipe(model="m"), bits, scheme=None, method=method)
