# SPDX-License-Identifier: Apache-2.0
"""Presets: every one can be carried out, better qualities store no less, and nothing falls back unsaid."""

from __future__ import annotations

import logging

import pytest

from edgeq.errors import EdgeqError
from edgeq.methods.pipeline import Pipeline
from edgeq.presets import PRESETS, QUALITIES, choose, preset_changes
from edgeq.schemes import Scheme

NOTHING = {"bits": None, "quality": None, "group_size": None, "scheme": None, "method": None, "calibrated": False}
ROWS, COLUMNS = 256, 1024


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize(("bits", "quality"), PRESETS)
def test_every_preset_can_be_carried_out(bits: int, quality: str, calibrated: bool) -> None:
    settings = choose(bits, quality, calibrated=calibrated)
    weights = Scheme.parse(settings.scheme).weights
    assert weights is not None
    assert weights.bits == bits
    assert calibrated or not Pipeline.parse(settings.method, settings.options).calibrated


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("bits", sorted({bits for bits, _ in PRESETS}))
def test_better_qualities_store_no_less(bits: int, calibrated: bool) -> None:
    formats = [Scheme.parse(choose(bits, quality, calibrated=calibrated).scheme).weights for quality in QUALITIES]
    sizes = [fmt.packed_size(ROWS, COLUMNS) for fmt in formats if fmt is not None]
    assert sizes == sorted(sizes)
    assert len(sizes) == len(QUALITIES)


def test_a_missing_calibration_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert choose(3, "balanced", calibrated=False).method == "rtn"
    assert "no calibration: balanced at 3 bits uses rtn instead of gptq" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        choose(3, "balanced", calibrated=True)
        choose(3, "fast", calibrated=False)
    assert caplog.text == ""


def test_group_size_replaces_that_of_the_preset() -> None:
    assert choose(4, "best", calibrated=True, group_size=64).scheme == "w4g64-asym"
    assert choose(4, "fast", calibrated=True, group_size=0).scheme == "w4"


def test_no_option_changes_nothing() -> None:
    assert preset_changes(**NOTHING) == {}  # type: ignore[arg-type]


def test_a_method_of_ones_own_leaves_the_scheme(caplog: pytest.LogCaptureFixture) -> None:
    changes = preset_changes(**{**NOTHING, "bits": 4, "method": "bcq"})  # type: ignore[arg-type]
    assert changes == {"scheme": choose(4, "balanced", calibrated=True).scheme}
    assert caplog.text == ""


def test_quality_alone_means_4_bits() -> None:
    changes = preset_changes(**{**NOTHING, "quality": "fast"})  # type: ignore[arg-type]
    assert changes == {"scheme": choose(4, "fast", calibrated=False).scheme, "method": "rtn", "method_options": {}}


BAD = [
    ({"quality": "good"}, "--quality: unknown quality, found good, wanted fast or balanced or best"),
    ({"bits": 5}, "unsupported bits"),
    ({"bits": 4, "group_size": 100}, "unsupported group size"),
    ({"bits": 4, "scheme": "w4"}, "--scheme: two schemes"),
    ({"quality": "best", "method": "gptq"}, "--method: two methods"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_contradictions_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(EdgeqError, match=message):
        preset_changes(**{**NOTHING, **given})  # type: ignore[arg-type]
